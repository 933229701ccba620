package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"flotilla/agent/systemd"
	"flotilla/install"
	"flotilla/members"
)

// bench is a machine in a folder, and what was asked of its systemd.
type bench struct {
	host
	asked []string
	out   string // of the last command, on stdout
}

// newBench makes a machine of root's; booted says whether systemd runs there.
func newBench(t *testing.T, booted bool) *bench {
	t.Helper()
	root := t.TempDir()
	b := &bench{host: host{
		root:  root,
		paths: members.Paths{Etc: filepath.Join(root, "etc/flotilla"), Var: filepath.Join(root, "var/lib/flotilla")},
	}}
	b.systemctl = func(_ context.Context, args ...string) error {
		b.asked = append(b.asked, strings.Join(args, " "))
		if !booted {
			return errors.New("System has not been booted with systemd as init system")
		}
		return nil
	}
	folders := []string{"etc"}
	if booted {
		folders = append(folders, "run/systemd/system")
	}
	for _, dir := range folders {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "etc/machine-id"), []byte(strings.Repeat("5", 32)+"\n"), 0o444); err != nil {
		t.Fatal(err)
	}
	return b
}

// files are all files of the machine.
func (b *bench) files(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(b.root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, strings.TrimPrefix(path, b.root))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// run types a command line of words without blanks there, and returns what it said on
// stderr, with the root folder left out. CA, CRT, KEY and EMPTY are as in badWords.
func (b *bench) run(t *testing.T, args string) (code int, said string) {
	t.Helper()
	words := strings.Fields("flotilla " + args)
	for i, w := range words {
		switch w {
		case "CA":
			words[i] = "ca.crt"
		case "CRT":
			words[i] = "alice.crt"
		case "KEY":
			words[i] = "alice.key"
		case "EMPTY":
			words[i] = ""
		}
	}
	var stdout, stderr bytes.Buffer
	code = runOn(t.Context(), b.host, words, &stdout, &stderr)
	b.out = stdout.String()
	return code, strings.ReplaceAll(stderr.String(), b.root, "")
}

// want runs a command line and compares.
func (b *bench) want(t *testing.T, args string, code int, line string) {
	t.Helper()
	got, said := b.run(t, args)
	if said = b.out + said; got != code || !strings.HasPrefix(said, line) || line == "" && said != "" {
		t.Errorf("flotilla %s = %d, %q, want %d, %q", args, got, said, code, line)
	}
}

const testInit = "init --no-start --address 10.0.0.1 --name h1"

// TestNoSystemd: where systemd does not run nothing is written, unless nothing is to be started,
// and what was written can be taken away again.
func TestNoSystemd(t *testing.T) {
	b := newBench(t, false)
	before := b.files(t)
	const refused = "flotilla: error: systemd does not run on this host: there is no /run/systemd/system "
	b.want(t, "init --address 10.0.0.1", 1, refused+"(boot it with systemd; --no-start writes the files for a later boot)\n")
	token, err := members.NewToken(members.Fingerprint{}, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	b.want(t, "join 127.0.0.1 --token "+token.Text(), 1, refused+"(boot it with systemd; --no-start writes the files for a later boot)\n")
	b.want(t, "dev", 1, refused+"(use a machine that systemd booted; --user needs a systemd of your own)\n")
	if after := b.files(t); !slices.Equal(after, before) || len(b.asked) > 0 {
		t.Errorf("what was refused left %v and asked systemd for %v", after, b.asked)
	}

	b.want(t, testInit, 0, "")
	if len(b.asked) > 0 {
		t.Errorf("init --no-start asked systemd for %v", b.asked)
	}
	for _, file := range []string{"/etc/flotilla/flotilla.json", install.Binary, filepath.Join(install.UnitDir, members.ServiceEtcd)} {
		if !slices.Contains(b.files(t), file) {
			t.Errorf("init --no-start wrote no %s", file)
		}
	}
	b.want(t, "leave", 1, refused+"(flotilla leave --force goes on without it)\n")
	b.want(t, "leave --force", 0, "this host is no member any more; ")
	if b.installed(members.ServiceAgent) || b.installed(members.ServiceEtcd) || members.Traces(b.paths) {
		t.Errorf("leave --force left %v", b.files(t))
	}
	b.want(t, "leave --force", 1, "flotilla: error: /etc/flotilla/flotilla.json: this host is not a member of a cluster (")
	b.want(t, testInit, 0, "")
}

// TestBesideDaemon: while a daemon runs, as flotilla dev does, nothing is written.
func TestBesideDaemon(t *testing.T) {
	b := newBench(t, true)
	if err := os.MkdirAll(b.runDir(), 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := os.Create(filepath.Join(b.runDir(), "flotilla.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	token, err := members.NewToken(members.Fingerprint{}, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	before := b.files(t)
	for _, args := range []string{"init --address 10.0.0.1", "join 127.0.0.1 --token " + token.Text()} {
		b.want(t, args, 1, "flotilla: error: another flotilla runs on this host and holds /run/flotilla/flotilla.lock: stop it first (systemctl stop flotilla-agent, or end flotilla dev)\n")
	}
	if after := b.files(t); !slices.Equal(after, before) || len(b.asked) > 0 {
		t.Errorf("what was refused left %v and asked systemd for %v", after, b.asked)
	}
}

// TestLeaveAgain: a leave that was interrupted anywhere can be repeated.
func TestLeaveAgain(t *testing.T) {
	cuts := []struct {
		name, args string
		cut        func(b *bench) error
	}{
		{"before the configuration went", "leave", func(b *bench) error { return os.RemoveAll(b.paths.Etc + "/pki") }},
		{"before the certificates went", "leave --force", func(b *bench) error { return os.RemoveAll(b.paths.EtcdData()) }},
		{"before the service units went", "leave --force", func(b *bench) error { return os.RemoveAll(b.paths.Etc) }},
		{"after one service unit went", "leave --force", func(b *bench) error {
			return errors.Join(os.RemoveAll(b.paths.Etc), os.Remove(filepath.Join(b.root, install.UnitDir, members.ServiceEtcd)))
		}},
	}
	for _, tt := range cuts {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, true)
			b.want(t, testInit, 0, "")
			if err := tt.cut(b); err != nil {
				t.Fatal(err)
			}
			b.want(t, tt.args, 0, "this host is no member any more; ")
			if b.traces() {
				t.Errorf("flotilla %s left %v", tt.args, b.files(t))
			}
			b.want(t, testInit, 0, "")
		})
	}
}

// TestLeaveMeetsAUnit: a unit that came to the host while its agent ended keeps the host a member, and
// its agent goes on.
func TestLeaveMeetsAUnit(t *testing.T) {
	b := newBench(t, true)
	b.want(t, testInit+" --etcd-endpoints http://127.0.0.1:1", 0, "")
	b.asked = nil
	asks := b.systemctl
	b.systemctl = func(ctx context.Context, args ...string) error {
		dir := filepath.Join(b.root, "run/systemd/system")
		if slices.Contains(args, "--now") {
			drop := filepath.Join(dir, "late.service.d")
			if err := errors.Join(os.Mkdir(drop, 0o755), os.WriteFile(filepath.Join(drop, systemd.DropIn), []byte(systemd.Header), 0o644), os.WriteFile(dir+"/late.service", nil, 0o644)); err != nil {
				t.Error(err)
			}
		}
		return asks(ctx, args...)
	}
	b.want(t, "leave", 1, "flotilla: error: units of the cluster are on this host (late.service): they would run on here")
	agent := members.ServiceAgent
	want := []string{"is-active --quiet " + agent, "disable --quiet --now " + agent, "enable --quiet " + agent, "start " + agent}
	if !slices.Equal(b.asked, want) || !members.Traces(b.paths) {
		t.Errorf("systemd was asked for %q, want %q and a host that is still a member", b.asked, want)
	}
}

// TestExternalEtcd: the flags for an etcd that exists go together, and name files that are there.
func TestExternalEtcd(t *testing.T) {
	b := newBench(t, true)
	t.Chdir(b.root)
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"init --etcd-ca ca.crt", 2, "--etcd-ca is for an etcd that exists: name it with --etcd-endpoints"},
		{"init --etcd-endpoints https://10.0.0.9:2379 --etcd-cert c.crt", 2, "--etcd-cert needs --etcd-key"},
		{"init --etcd-endpoints https://10.0.0.9:2379 --etcd-username fleet", 2, "--etcd-username needs --etcd-password-file"},
		{"init --etcd-endpoints https://10.0.0.9:2379 --etcd-ca nosuch", 1, "--etcd-ca: open /nosuch: no such file or directory"},
	} {
		b.want(t, tt.args, tt.code, "flotilla: error: "+tt.want+"\n")
	}
	if err := os.WriteFile("ca.crt", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	b.want(t, testInit+" --etcd-endpoints https://10.0.0.8:2379,https://10.0.0.9:2379 --etcd-ca ca.crt --label zones=a,b", 0, "")
	config, err := members.LoadConfig(b.paths)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := config.External.CA, filepath.Join(b.root, "ca.crt"); got != want {
		t.Errorf("the CA's file is %q, want %q: the daemon runs in another folder", got, want)
	}
	if got := config.External.Endpoints; len(got) != 2 || config.Labels["zones"] != "a,b" {
		t.Errorf("endpoints %q, labels %q, want two and zones=a,b", got, config.Labels)
	}
}
