package testpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// makeReachable copies the installation into the server's folder where the
// server's user may not run it from where it is: binaries in root's cache, since
// nobody but root may look into root's home.
func (s *Server) makeReachable(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.BinDir, "postgres"), "--version")
	cmd.Dir = s.dir
	cmd.SysProcAttr = s.user.attributes()
	if err := cmd.Run(); s.user == nil || !errors.Is(err, fs.ErrPermission) {
		return nil // any other fault shows when initdb runs, with its reason
	}
	installation, own := filepath.Dir(s.BinDir), filepath.Join(s.dir, "postgres")
	for _, part := range []string{filepath.Base(s.BinDir), "lib", "share"} {
		err := os.CopyFS(filepath.Join(own, part), os.DirFS(filepath.Join(installation, part)))
		if err != nil {
			return fmt.Errorf("copying PostgreSQL to where its user may run it: %w", err)
		}
	}
	s.BinDir = filepath.Join(own, filepath.Base(s.BinDir))
	return nil
}
