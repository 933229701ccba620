package members

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Paths says where a host keeps what makes it a member.
type Paths struct {
	Etc string // configuration and certificates, /etc/flotilla
	Var string // data, /var/lib/flotilla
}

// DefaultPaths are those of a real host.
func DefaultPaths() Paths { return Paths{Etc: "/etc/flotilla", Var: "/var/lib/flotilla"} }

// Config is the configuration file. Its presence is what makes a host a member: it
// is written last by Init and Join, and moved away last by Cleanup, so that a leave that was
// interrupted can be repeated.
func (p Paths) Config() string { return filepath.Join(p.Etc, "flotilla.json") }

// PKI are the files of this host's certificates.
func (p Paths) PKI() PKI {
	dir := filepath.Join(p.Etc, "pki")
	return PKI{
		CA:    filepath.Join(dir, "ca.crt"),
		CAKey: filepath.Join(dir, "ca.key"),
		Cert:  filepath.Join(dir, "host.crt"),
		Key:   filepath.Join(dir, "host.key"),
	}
}

// EtcdData is the folder of the embedded etcd.
func (p Paths) EtcdData() string { return filepath.Join(p.Var, "etcd") }

// PKI names the certificate files of a host. CAKey exists on hosts that admit others.
type PKI struct {
	CA    string `json:"ca"`
	CAKey string `json:"ca_key,omitempty"`
	Cert  string `json:"cert"`
	Key   string `json:"key"`
}

// The modes of what is written: keys are for root only.
const (
	modeKey    fs.FileMode = 0o600
	modePublic fs.FileMode = 0o644
)

// writeFile replaces a file atomically and durably: a reader sees the old bytes or
// the new ones, and so does the host after a power cut.
func writeFile(name string, data []byte, mode fs.FileMode) (err error) {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", name, err)
		}
	}()
	_, werr := f.Write(data)
	if err := errors.Join(werr, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes renames in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// exists says whether a file or folder is there; trouble other than absence is an error.
func exists(name string) (bool, error) {
	_, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// move renames a file or folder, or copies it when it would cross file systems.
func move(from, to string) error {
	err := os.Rename(from, to)
	if !errors.Is(err, syscall.EXDEV) {
		return err
	}
	fi, err := os.Stat(from)
	if err != nil {
		return err
	}
	if fi.IsDir() {
		err = os.CopyFS(to, os.DirFS(from))
	} else {
		err = copyFile(from, to, fi.Mode().Perm())
	}
	if err != nil {
		return err
	}
	return os.RemoveAll(from)
}

func copyFile(from, to string, mode fs.FileMode) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return writeFile(to, raw, mode)
}
