package loadgen

import (
	"encoding/binary"
	"errors"
)

// appendInterval appends the window in the form that addInterval takes: its
// second, how many arrivals were scheduled in it, counters as varints, and its
// histograms, each with its length. backends tells the names of its addresses.
func (w *window) appendInterval(buf []byte, scheduled int64, b *backends) []byte {
	buf = binary.AppendVarint(buf, w.index)
	for _, n := range []int64{scheduled, w.finished, w.succeeded, w.requests, w.successes, w.starved, w.unfinished, w.bytesIn, w.bytesOut} {
		buf = binary.AppendUvarint(buf, uint64(n))
	}
	buf = binary.AppendUvarint(buf, nonZero(w.status[:]))
	for status, n := range w.status {
		if n > 0 {
			buf = binary.AppendUvarint(binary.AppendUvarint(buf, uint64(status)), uint64(n))
		}
	}
	buf = binary.AppendUvarint(buf, nonZero(w.errors[:]))
	for k, n := range w.errors {
		if n > 0 {
			buf = binary.AppendUvarint(appendText(buf, kind(k).String()), uint64(n))
		}
	}
	buf = binary.AppendUvarint(buf, nonZero(w.backends))
	for i, n := range w.backends {
		if n > 0 {
			buf = binary.AppendUvarint(appendText(buf, b.name(i)), uint64(n))
		}
	}
	buf = binary.AppendUvarint(buf, uint64(len(w.groups)))
	for i := range w.groups {
		buf = binary.AppendUvarint(buf, uint64(w.groups[i].requests))
		buf = binary.AppendUvarint(buf, uint64(w.groups[i].failed))
	}
	var packed []byte
	for _, h := range w.histograms() {
		packed = h.AppendPacked(packed[:0])
		buf = append(binary.AppendUvarint(buf, uint64(len(packed))), packed...)
	}
	return buf
}

func nonZero(counts []int64) (n uint64) {
	for _, c := range counts {
		if c > 0 {
			n++
		}
	}
	return n
}

func appendText(buf []byte, text string) []byte {
	return append(binary.AppendUvarint(buf, uint64(len(text))), text...)
}

// errInterval says that an interval is damaged.
var errInterval = errors.New("the interval is damaged")

// An intervalReader takes an interval apart. Its first fault stays in err, and
// all that is read after it is 0 or empty.
type intervalReader struct {
	data []byte
	err  error
}

func (r *intervalReader) fail() {
	r.data, r.err = nil, errInterval
}

// count reads a number from 0 to most.
func (r *intervalReader) count(most int64) int64 {
	n, size := binary.Uvarint(r.data)
	if size <= 0 || n > uint64(most) {
		r.fail()
		return 0
	}
	r.data = r.data[size:]
	return int64(n)
}

func (r *intervalReader) index() int64 {
	n, size := binary.Varint(r.data)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.data = r.data[size:]
	return n
}

func (r *intervalReader) bytes() []byte {
	n := r.count(maxCount)
	if n > int64(len(r.data)) {
		r.fail()
		return nil
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

// maxCount bounds what an interval may count, so that no sum overflows.
const maxCount = int64(1) << 47

// addInterval adds what is behind the second and its schedule in an interval to
// w. After an error part of it is in w.
func (w *window) addInterval(r *intervalReader, b *backends) error {
	for _, n := range []*int64{&w.finished, &w.succeeded, &w.requests, &w.successes, &w.starved, &w.unfinished, &w.bytesIn, &w.bytesOut} {
		*n += r.count(maxCount)
	}
	for range r.count(int64(len(w.status))) {
		status := r.count(int64(len(w.status)) - 1)
		w.status[status] += r.count(maxCount)
	}
	for range r.count(int64(kinds)) {
		k, ok := kindNamed(r.bytes())
		if !ok {
			r.fail()
		}
		w.errors[k] += r.count(maxCount)
	}
	for range r.count(maxBackends) {
		i := b.indexOf(string(r.bytes()))
		for int(i) >= len(w.backends) {
			w.backends = append(w.backends, 0)
		}
		w.backends[i] += r.count(maxCount)
		if r.err != nil {
			break
		}
	}
	if n := r.count(maxNamedTargets + maxPhases); int(n) != len(w.groups) {
		r.fail()
	}
	for i := range w.groups {
		w.groups[i].requests += r.count(maxCount)
		w.groups[i].failed += r.count(maxCount)
	}
	for _, h := range w.histograms() {
		packed := r.bytes()
		if r.err != nil || h.AddPacked(packed) != nil {
			return errInterval
		}
	}
	if len(r.data) > 0 {
		r.fail()
	}
	return r.err
}

// maxBackends bounds the addresses of one interval.
const maxBackends = 1 << 16
