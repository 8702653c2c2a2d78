package loadgen

import (
	"time"

	"scaleproof/loadgen/internal/http1"
)

// judgeAnswer says whether a complete answer is a success.
func (r *run) judgeAnswer(_ *sample, p *http1.Parser) kind {
	if p.Status() >= 400 {
		return kindStatus
	}
	return kindNone
}

// worn reports whether a connection has served long enough.
func (r *run) worn(requests int, opened, now int64) bool {
	if r.cfg.Recycle > 0 && requests >= r.cfg.Recycle {
		return true
	}
	return r.cfg.RecycleAfter > 0 && now-opened >= int64(r.cfg.RecycleAfter)
}

// idempotent reports whether a request may be made twice.
func idempotent(wire []byte) bool {
	return len(wire) > 2 && (wire[0] == 'G' || wire[0] == 'H' || wire[0] == 'D' || wire[0] == 'O' || wire[0] == 'P' && wire[1] == 'U')
}

// hit makes what Options.OnHit is told of.
func (r *run) hit(s *sample, worker int, request []byte, kept *http1.Kept) *Hit {
	h := &Hit{
		Seq: s.seq, Target: int(s.target), Worker: worker, Status: int(s.status), Kind: s.kind.String(),
		Intended: time.Duration(s.intended), Sent: time.Duration(s.sent), FirstByte: time.Duration(s.firstByte), End: time.Duration(s.end),
		BytesIn: s.bytesIn, BytesOut: s.bytesOut, Warmup: s.intended < r.span.from, Request: request,
	}
	if kept != nil {
		h.Head, h.Body = kept.Head, kept.Body
	}
	return h
}
