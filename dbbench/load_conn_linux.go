package dbbench

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// dialDirect opens a connection that the runtime's poller does not watch, so that a
// loop of its own can.
func dialDirect(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	socket, ok := conn.(interface{ File() (*os.File, error) })
	if !ok {
		return conn, nil
	}
	file, err := socket.File()
	if err != nil {
		return nil, fmt.Errorf("taking the socket from the poller: %w", err)
	}
	direct := &directConn{File: file, fd: int(file.Fd()), local: conn.LocalAddr(), remote: conn.RemoteAddr()} // Fd makes it block
	if err := conn.Close(); err != nil {                                                                      // the file is a duplicate
		return nil, fmt.Errorf("taking the socket from the poller: %w", err)
	}
	return direct, nil
}

// A directConn blocks its thread while it reads. It can't end that by a deadline
// alone: when one passes, it shuts the connection down.
type directConn struct {
	*os.File
	fd            int
	local, remote net.Addr

	mu    sync.Mutex
	timer *time.Timer // of the deadline; nil without
}

func (c *directConn) LocalAddr() net.Addr  { return c.local }
func (c *directConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline shuts the connection down at t; the zero time takes that back.
func (c *directConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	if !t.IsZero() {
		c.timer = time.AfterFunc(time.Until(t), c.shutdown)
	}
	return nil
}

// SetReadDeadline is SetDeadline.
func (c *directConn) SetReadDeadline(t time.Time) error { return c.SetDeadline(t) }

// SetWriteDeadline is SetDeadline.
func (c *directConn) SetWriteDeadline(t time.Time) error { return c.SetDeadline(t) }

// Close ends what blocks on the connection, too.
func (c *directConn) Close() error {
	_ = c.SetDeadline(time.Time{}) // never fails
	c.shutdown()
	return c.File.Close()
}

func (c *directConn) shutdown() {
	raw, err := c.SyscallConn()
	if err != nil {
		return // it is closed
	}
	_ = raw.Control(func(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) }) // fails only where nothing is left to end
}
