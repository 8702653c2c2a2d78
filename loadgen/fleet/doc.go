// Package fleet makes one load with many processes. A coordinator waits for its
// workers, starts them at one time, merges what they record second by second, and
// says of the whole what loadgen says of one process. It is a loadgen.Fleet.
//
// # Protocol
//
// Workers dial out, by TCP and TLS 1.3 with a certificate that the coordinator
// makes for itself. Both sides then prove that they know a secret, by an HMAC
// (SHA-256) over fresh random numbers of both and over keying material of that
// TLS connection (RFC 9266 has the same idea): the secret never crosses the wire,
// and nobody in between can relay the proof. Frames are a length (four bytes, big
// endian), a kind (one byte) and a body, which is JSON, or binary for intervals
// and clocks.
//
//	worker                         coordinator
//	hello: version, index, number  ->
//	                               <- challenge: number, proof
//	proof                          ->
//	                               <- welcome, or refusal with the reason
//	                               <- job: configuration, files, share
//	ready                          ->
//	                               <- ping ... pong ->  (the offset of the clock)
//	                               <- start: when, by the worker's own clock
//	interval, interval ...         ->
//	                               <- end: when (only if the run ends early)
//	done: result, number of intervals ->
//	                               <- the next job, or bye
//
// Pings go on throughout: either side takes the other for lost when it has been
// silent for a quarter of a minute. A worker that has lost its coordinator ends
// its load at once.
//
// # Clocks
//
// The offset of a worker's clock comes from the exchange with the shortest round
// trip, as NTP has it: it is known to half that round trip. The start is told by
// the worker's own clock, so that an offset moves nothing; what counts is how well
// it is known, and that it stays. A clock that is far off is not kept by anyone,
// and makes the run invalid.
package fleet
