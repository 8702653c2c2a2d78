package testpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"syscall"
)

// StartReplicas stops the server in good order, copies it n times, and starts it
// again with the copies as its streaming replicas, named replica-0 and so on in
// pg_stat_replication. The server has another port afterwards. A copy at rest
// needs no pg_basebackup, which npm's binaries lack. On error no replica is left.
func (s *Server) StartReplicas(ctx context.Context, n int) (replicas []*Server, err error) {
	defer func() {
		if err != nil {
			for _, r := range replicas {
				err = errors.Join(err, r.Stop())
			}
			replicas = nil
		}
	}()
	s.end(syscall.SIGINT)
	for i := range n {
		r := &Server{BinDir: s.BinDir, password: s.password, user: s.user}
		if err := r.makeFolder(filepath.Dir(s.dir)); err != nil {
			return replicas, fmt.Errorf("starting replica %d: %w", i, err)
		}
		replicas = append(replicas, r)
		if err := r.copyData(s); err != nil {
			return replicas, fmt.Errorf("copying the primary for replica %d: %w", i, err)
		}
	}
	if err := s.launch(ctx, s.override); err != nil {
		return replicas, err
	}
	for i, r := range replicas {
		settings := maps.Clone(s.override)
		if settings == nil {
			settings = map[string]string{}
		}
		settings["primary_conninfo"] = fmt.Sprintf("host=127.0.0.1 port=%d user=%s password=%s application_name=replica-%d", s.port, superuser, s.password, i)
		if err := r.launch(ctx, settings); err != nil {
			return replicas, fmt.Errorf("starting replica %d: %w", i, err)
		}
	}
	return replicas, nil
}

// copyData copies the data of a server that is at rest, as that of a standby.
func (s *Server) copyData(from *Server) error {
	if err := os.CopyFS(s.dataDir(), os.DirFS(from.dataDir())); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dataDir(), "standby.signal"), nil, 0o600); err != nil {
		return err
	}
	return filepath.WalkDir(s.dataDir(), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			err = os.Chmod(path, 0o700) // CopyFS widens what the server must have for itself
		default:
			err = os.Chmod(path, 0o600)
		}
		return errors.Join(err, s.user.own(path))
	})
}
