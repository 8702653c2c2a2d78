package dbbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dialDirect opens a connection that the runtime's poller does not watch, so that a
// loop of its own can.
func dialDirect(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return conn, nil
	}
	fd, err := takeOver(socket, conn)
	if err != nil {
		return nil, fmt.Errorf("taking the socket from the poller: %w", err)
	}
	return &directConn{File: os.NewFile(uintptr(fd), "socket"), fd: fd, local: conn.LocalAddr(), remote: conn.RemoteAddr()}, nil
}

// takeOver closes a connection, and returns its socket. That of the File method would
// be watched by the poller still, whose thread would wake with each answer.
func takeOver(socket syscall.Conn, conn io.Closer) (fd int, err error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, errors.Join(err, conn.Close())
	}
	var fault error
	err = raw.Control(func(of uintptr) { fd, fault = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) })
	if err := errors.Join(err, fault); err != nil {
		return 0, errors.Join(err, conn.Close())
	}
	// A file of a socket that does not block would be watched, too.
	if err := errors.Join(conn.Close(), unix.SetNonblock(fd, false)); err != nil {
		return 0, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
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
