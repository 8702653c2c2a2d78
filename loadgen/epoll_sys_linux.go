package loadgen

import (
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls of the hot path go past the runtime's scheduler: their
// sockets never block, and telling the scheduler would cost a tenth of them.

func rawRead(fd int32, buf []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), 0, 0, 0)
	return int(n), errno
}

func rawWrite(fd int32, data []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(data))), uintptr(len(data)), unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}

// poll takes what is ready without waiting.
func poll(epfd int, events []unix.EpollEvent) int {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// wait waits for what gets ready within d, to the nanosecond where the kernel
// has epoll_pwait2 (Linux 5.11), else to the millisecond.
func (l *loop) wait(d time.Duration) int {
	if !l.coarse {
		spec := unix.NsecToTimespec(int64(d))
		n, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(l.epfd), uintptr(unsafe.Pointer(&l.events[0])), uintptr(len(l.events)), uintptr(unsafe.Pointer(&spec)), 0, 0)
		switch errno {
		case 0:
			return int(n)
		case syscall.ENOSYS, syscall.EPERM:
			l.coarse = true
		default:
			return 0
		}
	}
	n, err := unix.EpollWait(l.epfd, l.events[:], int(d/time.Millisecond))
	if err != nil {
		return 0
	}
	return n
}

// openSocket starts a connection. A nil error and connected false: it is on
// its way.
func openSocket(e *endpoint, address netip.AddrPort) (fd int32, connected bool, err error) {
	family, sa := unix.AF_INET, unix.Sockaddr(nil)
	switch {
	case e.network == "unix":
		family, sa = unix.AF_UNIX, &unix.SockaddrUnix{Name: e.address}
	case address.Addr().Is4():
		sa = &unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}
	default:
		family, sa = unix.AF_INET6, &unix.SockaddrInet6{Port: int(address.Port()), Addr: address.Addr().As16()}
	}
	s, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, false, err
	}
	if family != unix.AF_UNIX {
		_ = unix.SetsockoptInt(s, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	switch err := unix.Connect(s, sa); err {
	case nil:
		return int32(s), true, nil
	case unix.EINPROGRESS:
		return int32(s), false, nil
	case unix.EAGAIN:
		// A Unix socket whose backlog is full: TCP would keep trying.
		_ = unix.Close(s)
		return -1, false, unix.ECONNREFUSED
	default:
		_ = unix.Close(s)
		return -1, false, err
	}
}

// socketError returns why a connection failed, nil if it did not.
func socketError(fd int32) error {
	errno, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if errno != 0 {
		return syscall.Errno(errno)
	}
	return nil
}
