// Package hosts boots real systemd hosts on one Linux machine, each in a
// container of its own kernel namespaces, for the end-to-end tests and the demo.
//
// A [Lab] is a network namespace with a bridge in it, and the hosts on that
// bridge. The caller must be root and must have run prepare.sh. Nothing of a
// lab is visible in the machine's own network, firewall or mount table. A lab
// lives on after the process that opened it, until [Lab.Close] or [Remove].
package hosts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	bridge      = "lab0"
	gateway     = "10.77.0.1"
	prefix      = "10.77.0."
	prefixBits  = 24
	firstNumber = 10 // host number n has the address prefix + (firstNumber + n)
	maxHosts    = 200

	defaultCache = "/var/cache/flotilla"
	privateRoot  = "/run/flotilla-lab" // short: a unix socket's path has 108 bytes
)

// ErrNoLab is returned by [Attach] when no lab of that name is up.
var ErrNoLab = errors.New("no lab of that name is up")

var labName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,15}$`)

// Options describes a lab. Its zero value is a lab named "lab" of hosts of
// the default suite.
type Options struct {
	// Name tells labs of one machine apart: a small letter, then at most 15
	// small letters, digits and hyphens.
	Name string
	// Dir holds the disks of the hosts. It must not lie on overlayfs. The
	// default is labs/NAME in the cache folder (variable FLOTILLA_CACHE).
	Dir string
	// Suite is the distribution release of hosts that name none themselves;
	// empty means the one that suits this machine (see image.sh).
	Suite string
	// Log receives what the tools underneath say. Nil discards it.
	Log io.Writer
}

func (o Options) withDefaults() (Options, error) {
	if o.Name == "" {
		o.Name = "lab"
	}
	if !labName.MatchString(o.Name) {
		return o, fmt.Errorf("lab name %q: want a small letter, then at most 15 of a-z, 0-9 and -", o.Name)
	}
	if o.Dir == "" {
		o.Dir = filepath.Join(CacheDir(), "labs", o.Name)
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("folder of lab %s: %w", o.Name, err)
	}
	o.Dir = dir
	return o, nil
}

// CacheDir is the folder that keeps host images and, by default, labs.
func CacheDir() string {
	if dir := os.Getenv("FLOTILLA_CACHE"); dir != "" {
		return dir
	}
	return defaultCache
}

// Lab is a set of hosts on a bridge of their own. Its methods may be called
// from several goroutines.
type Lab struct {
	options Options
	holder  int    // the process that keeps the lab's namespaces
	cgroup  string // folder of the lab in the cgroup v2 tree
	lock    *os.File

	mu    sync.Mutex
	hosts []*Host
}

// record is what Attach needs to find a lab again.
type record struct {
	Hosts []HostOptions `json:"hosts"`
}

// Open makes a new lab and first removes whatever an earlier one of the same
// name left, its hosts included. It refuses when a living process has it open.
func Open(ctx context.Context, o Options) (*Lab, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	lock, err := lockLab(o)
	if err != nil {
		return nil, err
	}
	l := &Lab{options: o, lock: lock}
	if err := l.open(ctx); err != nil {
		l.unlock()
		return nil, fmt.Errorf("open lab %s: %w", o.Name, err)
	}
	return l, nil
}

func (l *Lab) open(ctx context.Context) error {
	if err := removeAll(ctx, l.options); err != nil {
		return err
	}
	for _, dir := range []string{l.options.Dir, l.Shared(), filepath.Join(l.options.Dir, "hosts"), l.privateDir()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := startHolder(ctx, l.options); err != nil {
		return err
	}
	return Wait(ctx, 30*time.Second, "namespaces of the lab", func(context.Context) error {
		return l.findHolder()
	})
}

// Attach finds a lab that an earlier process opened. It returns [ErrNoLab]
// when there is none, or only what a crash left of one.
func Attach(ctx context.Context, o Options) (*Lab, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Lab{options: o}
	if err := l.findHolder(); err != nil {
		return nil, fmt.Errorf("attach to lab %s: %w", o.Name, errors.Join(ErrNoLab, err))
	}
	var r record
	data, err := os.ReadFile(l.recordFile())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("attach to lab %s: %w", o.Name, err)
	}
	if err == nil {
		if err := json.Unmarshal(data, &r); err != nil {
			return nil, fmt.Errorf("attach to lab %s: read %s: %w", o.Name, l.recordFile(), err)
		}
	}
	for _, options := range r.Hosts {
		l.hosts = append(l.hosts, &Host{lab: l, options: options})
	}
	return l, ctx.Err()
}

// Close ends all hosts of the lab and removes everything it had: processes,
// namespaces, mounts, disks. It may be called again.
func (l *Lab) Close(ctx context.Context) error {
	err := removeAll(ctx, l.options)
	l.unlock()
	if err != nil {
		return fmt.Errorf("close lab %s: %w", l.options.Name, err)
	}
	return nil
}

// Detach gives up the lab without ending it: its hosts go on, and another
// process may attach to it or remove it.
func (l *Lab) Detach() { l.unlock() }

// Remove removes a lab by its name, in whatever state it is. It is no error
// when there is none.
func Remove(ctx context.Context, o Options) error {
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	if err := removeAll(ctx, o); err != nil {
		return fmt.Errorf("remove lab %s: %w", o.Name, err)
	}
	return nil
}

// Name is the lab's name.
func (l *Lab) Name() string { return l.options.Name }

// Hosts returns the hosts booted so far, in the order in which they were.
func (l *Lab) Hosts() []*Host {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*Host(nil), l.hosts...)
}

// Host returns the host of that name, or nil.
func (l *Lab) Host(name string) *Host {
	for _, h := range l.Hosts() {
		if h.Name() == name {
			return h
		}
	}
	return nil
}

// Gateway is the machine's own address on the lab's bridge.
func (l *Lab) Gateway() string { return gateway }

// Shared is a folder of the machine that every host sees as /srv/lab, also
// readable while hosts are frozen or dead.
func (l *Lab) Shared() string { return filepath.Join(l.options.Dir, "shared") }

func (l *Lab) privateDir() string { return filepath.Join(privateRoot, l.options.Name) }
func (l *Lab) recordFile() string { return filepath.Join(l.options.Dir, "lab.json") }
func (l *Lab) holderFile() string { return filepath.Join(l.options.Dir, "holder") }

// save writes the record of the lab's hosts; the caller holds l.mu.
func (l *Lab) save() error {
	var r record
	for _, h := range l.hosts {
		r.Hosts = append(r.Hosts, h.options)
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(l.recordFile()+".new", data, 0o644); err != nil {
		return err
	}
	return os.Rename(l.recordFile()+".new", l.recordFile())
}

// findHolder reads the holder file and believes it only if that process is
// now in the lab's control group, which no other process can be.
func (l *Lab) findHolder() error {
	data, err := os.ReadFile(l.holderFile())
	if err != nil {
		return err
	}
	number, cgroup, ok := strings.Cut(strings.TrimSpace(string(data)), " ")
	pid, err := strconv.Atoi(number)
	if !ok || err != nil {
		return fmt.Errorf("%s does not name a process", l.holderFile())
	}
	pids, err := processes(filepath.Join(cgroup, "holder"))
	if err != nil {
		return err
	}
	for _, p := range pids {
		if p == pid {
			l.holder, l.cgroup = pid, cgroup
			return nil
		}
	}
	return fmt.Errorf("process %d has ended", pid)
}

// lockLab keeps a second process from opening the lab while this one lives.
func lockLab(o Options) (*os.File, error) {
	path := filepath.Join(privateRoot, o.Name+".lock")
	if err := os.MkdirAll(privateRoot, 0o755); err != nil {
		return nil, fmt.Errorf("open lab %s: %w", o.Name, err)
	}
	lock, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lab %s: %w", o.Name, err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("lab %s is in use by another process; wait for it or choose another name", o.Name)
	}
	// Who had it before may have deleted the file that was just locked.
	ours, err1 := lock.Stat()
	named, err2 := os.Stat(path)
	if err1 != nil || err2 != nil || !os.SameFile(ours, named) {
		lock.Close()
		return lockLab(o)
	}
	return lock, nil
}

// unlock gives the lab free for others and deletes the lock's file.
func (l *Lab) unlock() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lock == nil {
		return
	}
	os.Remove(l.lock.Name())
	os.Remove(privateRoot) // only if no other lab has anything there
	l.lock.Close()
	l.lock = nil
}
