package loadgen

import (
	"time"

	"scaleproof/loadgen/internal/http1"
)

// judgeAnswer says whether a complete answer is a success. head and body are
// what was kept of it for the checks, of which the first that fails is counted.
func (r *run) judgeAnswer(status int, head, body []byte) kind {
	if status >= 400 && !r.checksStatus {
		return kindStatus
	}
	for i := range r.checks {
		if !r.checks[i].holds(status, head, body) {
			r.checkFailures[i].Add(1)
			if r.checks[i].status != nil {
				return kindStatus
			}
			return kindCheck
		}
	}
	return kindNone
}

// judgeParsed is judgeAnswer for an answer that p has read.
func (r *run) judgeParsed(p *http1.Parser) kind {
	if p.Keep == nil {
		return r.judgeAnswer(p.Status(), nil, nil)
	}
	return r.judgeAnswer(p.Status(), p.Keep.Head, p.Keep.Body)
}

// kept returns what keeps a copy of the answers of one connection, nil where
// none is wanted.
func (r *run) kept() *http1.Kept {
	limit := 0
	if wantsAnswer(r.checks) {
		limit = keptForChecks
	}
	if r.opts.Keep {
		limit = max(limit, r.opts.KeepBody)
	} else if limit == 0 {
		return nil
	}
	return &http1.Kept{Limit: limit}
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
		Started: r.started, Seq: s.seq, Target: int(s.target), Worker: worker, Status: int(s.status), Kind: s.kind.String(),
		Intended: time.Duration(s.intended), Sent: time.Duration(s.sent), FirstByte: time.Duration(s.firstByte), End: time.Duration(s.end),
		BytesIn: s.bytesIn, BytesOut: s.bytesOut, Warmup: s.intended < r.span.from, Request: request,
	}
	if kept != nil {
		h.Head, h.Body = kept.Head, kept.Body[:min(len(kept.Body), r.opts.KeepBody)]
	}
	return h
}
