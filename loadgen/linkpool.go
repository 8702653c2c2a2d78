package loadgen

import "sync"

// A linkPool holds the idle connections of workers that make requests to several
// endpoints, so that all together open no more than there are workers.
type linkPool struct {
	mu   sync.Mutex
	idle [][]link // by endpoint
	open int      // idle, or with a worker
	most int
}

func newLinkPool(endpoints, most int) *linkPool {
	return &linkPool{idle: make([][]link, endpoints), most: most}
}

// take returns an idle connection to an endpoint, or none where the worker is to
// open one, for which it closes another's where there are too many. What it gives
// must be put back.
func (p *linkPool) take(endpoint int, hangUp func(*link)) link {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l, ok := p.pop(endpoint); ok {
		return l
	}
	// A worker has one connection at most, and there are no more workers than
	// connections: at the bound one is idle.
	for e := 0; e < len(p.idle) && p.open >= p.most; e++ {
		if l, ok := p.pop(e); ok {
			hangUp(&l)
			p.open--
		}
	}
	p.open++
	return link{}
}

// pop takes the connection that has waited longest, so that all get their share.
func (p *linkPool) pop(endpoint int) (link, bool) {
	list := p.idle[endpoint]
	if len(list) == 0 {
		return link{}, false
	}
	p.idle[endpoint] = list[1:]
	return list[0], true
}

// put takes back what take gave, without a connection where it was closed.
func (p *linkPool) put(endpoint int, l link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.conn == nil {
		p.open--
		return
	}
	p.idle[endpoint] = append(p.idle[endpoint], l)
}
