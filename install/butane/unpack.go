package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// ignition is the part of an Ignition file that ours use.
type ignition struct {
	Ignition struct {
		Version string `json:"version"`
	} `json:"ignition"`
	Storage struct {
		Files []struct {
			Path     string   `json:"path"`
			Mode     int      `json:"mode"`
			Contents resource `json:"contents"`
		} `json:"files"`
	} `json:"storage"`
	Systemd struct {
		Units []struct {
			Name     string `json:"name"`
			Enabled  bool   `json:"enabled"`
			Mask     bool   `json:"mask"`
			Contents string `json:"contents"`
		} `json:"units"`
	} `json:"systemd"`
}

// resource is the content of a file: in the file itself, or to be fetched.
type resource struct {
	Source       string `json:"source"`
	Compression  string `json:"compression"`
	Verification struct {
		Hash string `json:"hash"`
	} `json:"verification"`
}

// unpack writes files and units of an Ignition file into a root folder and enables units for
// multi-user.target, as Ignition does before a host's first boot. Accounts are left out.
func unpack(ign []byte, root, binary string) error {
	var c ignition
	if err := json.Unmarshal(ign, &c); err != nil {
		return err
	}
	for _, f := range c.Storage.Files {
		content, err := f.Contents.read(binary)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		if err := write(filepath.Join(root, f.Path), content, os.FileMode(f.Mode)); err != nil {
			return err
		}
	}
	const dir = "/etc/systemd/system"
	for _, u := range c.Systemd.Units {
		if u.Mask {
			if err := link("/dev/null", filepath.Join(root, dir, u.Name)); err != nil {
				return err
			}
		}
		if u.Contents != "" {
			if err := write(filepath.Join(root, dir, u.Name), []byte(u.Contents), 0o644); err != nil {
				return err
			}
		}
		if !u.Enabled || u.Contents == "" {
			continue
		}
		if err := link(filepath.Join(dir, u.Name), filepath.Join(root, dir, "multi-user.target.wants", u.Name)); err != nil {
			return err
		}
	}
	return nil
}

// link makes a link with its folders; one that is there stays.
func link(to, name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := os.Symlink(to, name); err != nil && !os.IsExist(err) {
		return err
	}
	return nil
}

// read decodes the content, or takes the local file for one that would be fetched, if its
// hash is the right one.
func (r resource) read(binary string) ([]byte, error) {
	head, data, ok := strings.Cut(r.Source, ",")
	if !ok || !strings.HasPrefix(head, "data:") {
		return fetch(r, binary)
	}
	var raw []byte
	var err error
	if strings.HasSuffix(head, ";base64") {
		raw, err = base64.StdEncoding.DecodeString(data)
	} else {
		var text string
		text, err = url.PathUnescape(data)
		raw = []byte(text)
	}
	if err != nil || r.Compression != "gzip" {
		return raw, err
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// fetch reads the local file in place of the remote one.
func fetch(r resource, binary string) ([]byte, error) {
	raw, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	if got := "sha256-" + hex.EncodeToString(sum[:]); got != r.Verification.Hash {
		return nil, fmt.Errorf("%s has %s, want %s: set FLOTILLA_SHA256", binary, got, r.Verification.Hash)
	}
	return raw, nil
}

// write writes a file with its folders.
func write(file string, content []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, content, mode); err != nil {
		return err
	}
	return os.Chmod(file, mode)
}
