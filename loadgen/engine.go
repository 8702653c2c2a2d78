package loadgen

import "fmt"

// The names of engines in Options.Engine.
const (
	engineEpoll      = "epoll"
	engineGoroutines = "goroutines"
	engineHTTP2      = "http2"
)

// Engines lists the names that Options.Engine takes beside "".
func Engines() []string { return []string{engineEpoll, engineGoroutines, engineHTTP2} }

// chooseEngine returns the best engine that serves the run's targets.
func (r *run) chooseEngine() (engine, error) {
	plain := r.opts.Dial == nil
	for _, e := range r.endpoints {
		plain = plain && e.scheme == "http"
	}
	switch r.opts.Engine {
	case engineHTTP2:
		return http2Engine{}, nil
	case "":
		if r.cfg.HTTP2 {
			return http2Engine{}, nil
		}
		if plain && epollServes {
			return newEpollEngine(), nil
		}
		return goroutineEngine{newDialer(r)}, nil
	case engineGoroutines:
		return goroutineEngine{newDialer(r)}, nil
	case engineEpoll:
		if plain && epollServes {
			return newEpollEngine(), nil
		}
		return nil, fmt.Errorf("choosing the engine: epoll serves plaintext HTTP/1.1 on Linux, over connections of its own")
	}
	return nil, fmt.Errorf("choosing the engine: there is none called %q", r.opts.Engine)
}
