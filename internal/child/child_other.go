//go:build !linux

package child

import "syscall"

// attributes put a program into a group of its own. That it ends with this process no
// other system promises.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// marked finds nothing: other systems don't tell a process's environment.
func marked(name, value string) []int { return nil }
