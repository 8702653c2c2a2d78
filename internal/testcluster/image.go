package testcluster

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// An Image is made on the spot from files of this machine. Pods take it as
// docker.io/local/NAME:1, with imagePullPolicy Never.
type Image struct {
	Name string
	// Files are files and folders of this machine by their place in the image.
	// Symbolic links in a folder stay links; a link that is named itself is
	// followed.
	Files      map[string]string
	Entrypoint []string
}

// Busybox is an image of nothing but busybox, and its shell as /bin/sh.
func (c *Cluster) Busybox(name string, entrypoint ...string) Image {
	program := filepath.Join(c.binaries, "bin", "busybox")
	return Image{Name: name, Files: map[string]string{"bin/busybox": program, "bin/sh": program}, Entrypoint: entrypoint}
}

// LoadImage makes an image and hands it to the node.
func (c *Cluster) LoadImage(ctx context.Context, image Image) error {
	var archive bytes.Buffer
	if err := writeImage(&archive, image); err != nil {
		return fmt.Errorf("making the image %s: %w", image.Name, err)
	}
	cmd := c.inside(ctx, "ctr", "--address", c.path("containerd.sock"), "--namespace", "k8s.io", "images", "import", "-")
	cmd.Stdin = &archive
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("loading the image %s: %w: %s", image.Name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// writeImage writes an image of one layer in the format of docker save.
func writeImage(w io.Writer, image Image) error {
	var layer bytes.Buffer
	if err := writeLayer(&layer, image.Files); err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Entrypoint": image.Entrypoint, "Env": []string{"PATH=/usr/local/bin:/usr/bin:/bin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + sum(layer.Bytes())}},
	})
	if err != nil {
		return err
	}
	configName := sum(config) + ".json"
	manifest, err := json.Marshal([]map[string]any{{
		"Config": configName, "RepoTags": []string{"docker.io/local/" + image.Name + ":1"}, "Layers": []string{"layer.tar"},
	}})
	if err != nil {
		return err
	}
	archive := tar.NewWriter(w)
	for _, file := range []struct {
		name string
		data []byte
	}{{"layer.tar", layer.Bytes()}, {configName, config}, {"manifest.json", manifest}} {
		if err := archive.WriteHeader(&tar.Header{Name: file.name, Mode: 0o644, Size: int64(len(file.data))}); err != nil {
			return err
		}
		if _, err := archive.Write(file.data); err != nil {
			return err
		}
	}
	return archive.Close()
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

func writeLayer(w io.Writer, files map[string]string) error {
	layer := tar.NewWriter(w)
	// /tmp is there in every image, for all.
	if err := layer.WriteHeader(&tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}); err != nil {
		return err
	}
	for _, place := range slices.Sorted(maps.Keys(files)) {
		root, err := filepath.EvalSymlinks(files[place])
		if err != nil {
			return err
		}
		err = filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			below, err := filepath.Rel(root, file)
			if err != nil {
				return err
			}
			return addFile(layer, path.Join(place, filepath.ToSlash(below)), file, entry)
		})
		if err != nil {
			return err
		}
	}
	return layer.Close()
}

func addFile(layer *tar.Writer, place, file string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	var link string
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(file); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	header.Name, header.Uid, header.Gid = place, 0, 0
	if err := layer.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	data, err := os.Open(file)
	if err != nil {
		return err
	}
	defer data.Close()
	_, err = io.Copy(layer, data)
	return err
}
