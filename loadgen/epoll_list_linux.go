package loadgen

// A connList is a list of a loop's connections, linked through them: no list
// allocates. The zero value is not usable: make one with newConnList.
type connList struct{ first, last int32 }

// none ends a list.
const none int32 = -1

func newConnList() connList { return connList{none, none} }

func (l *loop) pushBack(list *connList, i int32) {
	c := l.conn(i)
	c.prev, c.next = list.last, none
	if list.last == none {
		list.first = i
	} else {
		l.conn(list.last).next = i
	}
	list.last = i
}

func (l *loop) remove(list *connList, i int32) {
	c := l.conn(i)
	if c.prev == none {
		list.first = c.next
	} else {
		l.conn(c.prev).next = c.next
	}
	if c.next == none {
		list.last = c.prev
	} else {
		l.conn(c.next).prev = c.prev
	}
	c.prev, c.next = none, none
}

// popFront takes the connection that has waited longest, so that all of them,
// and the backends behind them, get their share.
func (l *loop) popFront(list *connList) int32 {
	i := list.first
	if i != none {
		l.remove(list, i)
	}
	return i
}

// chunk is how many connections are allocated at a time. They never move.
const chunk = 64

func (l *loop) conn(i int32) *eventConn { return &l.chunks[i/chunk][i%chunk] }

// newConn returns the index of a connection that is not in use.
func (l *loop) newConn() int32 {
	if i := l.popFront(&l.unused); i != none {
		return i
	}
	if l.made%chunk == 0 {
		l.chunks = append(l.chunks, make([]eventConn, chunk))
	}
	i := l.made
	l.made++
	c := l.conn(i)
	c.index, c.prev, c.next, c.fd = i, none, none, -1
	c.parser.Keep = l.engine.kept()
	return i
}
