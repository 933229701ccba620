package hosts

import (
	"archive/tar"
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

//go:embed image.sh
var imageScript []byte

// Image returns the folder with the root file system of a suite, and builds it
// if the cache has none. An empty suite is the one that suits this machine.
func Image(ctx context.Context, suite string, log io.Writer) (string, error) {
	if suite == "" {
		suite = "default"
	}
	script, err := os.CreateTemp("", "image-*.sh")
	if err != nil {
		return "", fmt.Errorf("host image: %w", err)
	}
	defer os.Remove(script.Name())
	if _, err := script.Write(imageScript); err != nil {
		return "", fmt.Errorf("host image: %w", err)
	}
	if err := script.Close(); err != nil {
		return "", fmt.Errorf("host image: %w", err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "bash", script.Name(), suite)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it cleans up
	cmd.WaitDelay = time.Minute
	if err := cmd.Run(); err != nil {
		if log != nil {
			log.Write(stderr.Bytes())
		}
		return "", fmt.Errorf("host image of suite %s: %w: %s", suite, err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// BuildApp compiles the test app, a static binary for container images, into
// a folder and returns its path. It must run inside the module.
func BuildApp(ctx context.Context, dir string) (string, error) {
	target := filepath.Join(dir, "app")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", target, "flotilla/e2e/hosts/app")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build test app: %w: %s", err, out)
	}
	return target, nil
}

// LoadImage gives Docker and Podman on the host a container image, under a
// name like "app:1", that holds nothing but one static binary at /app.
func (h *Host) LoadImage(ctx context.Context, name, binary string) error {
	layer, err := imageLayer(binary)
	if err != nil {
		return fmt.Errorf("make image %s: %w", name, err)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, engine := range []string{"docker", "podman"} {
		group.Go(func() error {
			_, err := h.Exec(ctx, bytes.NewReader(layer), engine, "import", "--change", `CMD ["/app"]`, "-", name)
			return err
		})
	}
	return group.Wait()
}

// imageLayer packs a binary as the only file of a file system, same bytes for
// the same binary.
func imageLayer(binary string) ([]byte, error) {
	data, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	folder := tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}
	file := tar.Header{Typeflag: tar.TypeReg, Name: "app", Mode: 0o755, Size: int64(len(data))}
	if err := w.WriteHeader(&folder); err != nil {
		return nil, err
	}
	if err := w.WriteHeader(&file); err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}
