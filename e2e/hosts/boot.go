package hosts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	bootDeadline     = 2 * time.Minute
	shutdownDeadline = time.Minute
)

var (
	hostName  = regexp.MustCompile(`^[a-z][a-z0-9]{0,11}$`)
	machineID = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// HostOptions describes one host. All but the name may stay empty.
type HostOptions struct {
	// Name is its host name: a small letter, then at most 11 small letters
	// and digits.
	Name string `json:"name"`
	// MachineID is 32 hexadecimal digits; by default it follows from the names
	// of lab and host. Two hosts with one id are allowed: a test may want that.
	MachineID string `json:"machine_id"`
	// Suite is the distribution release; by default the lab's.
	Suite string `json:"suite"`
	// Files is a folder whose content is on the host's disk before its first
	// boot, laid over what the image has; none by default.
	Files string `json:"files"`

	Number int    `json:"number"` // set by the lab
	Image  string `json:"image"`  // set by the lab
}

// Boot boots n more hosts in parallel, named h1, h2 and so on, and returns
// when systemd on each has finished starting.
func (l *Lab) Boot(ctx context.Context, n int) ([]*Host, error) {
	booted := make([]*Host, n)
	for i := range booted {
		h, err := l.add(ctx, HostOptions{})
		if err != nil {
			return nil, err
		}
		booted[i] = h
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, h := range booted {
		group.Go(func() error { return h.Start(ctx) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return booted, nil
}

// BootHost boots one more host.
func (l *Lab) BootHost(ctx context.Context, o HostOptions) (*Host, error) {
	h, err := l.add(ctx, o)
	if err != nil {
		return nil, err
	}
	return h, h.Start(ctx)
}

// add enters a host in the lab's record and prepares its disk.
func (l *Lab) add(ctx context.Context, o HostOptions) (*Host, error) {
	if o.Suite == "" {
		o.Suite = l.options.Suite
	}
	image, err := Image(ctx, o.Suite, l.options.Log)
	if err != nil {
		return nil, err
	}
	o.Image = image
	l.mu.Lock()
	defer l.mu.Unlock()
	if o.Number = len(l.hosts) + 1; o.Number > maxHosts {
		return nil, fmt.Errorf("boot a host: lab %s has %d already", l.options.Name, maxHosts)
	}
	if o.Name == "" {
		o.Name = fmt.Sprintf("h%d", o.Number)
	}
	if !hostName.MatchString(o.Name) {
		return nil, fmt.Errorf("host name %q: want a small letter, then at most 11 of a-z and 0-9", o.Name)
	}
	if o.MachineID == "" {
		sum := sha256.Sum256([]byte(l.options.Name + "/" + o.Name))
		o.MachineID = hex.EncodeToString(sum[:16])
	}
	if !machineID.MatchString(o.MachineID) {
		return nil, fmt.Errorf("machine id %q: want 32 hexadecimal digits", o.MachineID)
	}
	h := &Host{lab: l, options: o}
	for _, other := range l.hosts {
		if other.Name() == o.Name {
			return nil, fmt.Errorf("boot host %s: lab %s has one of that name", o.Name, l.options.Name)
		}
	}
	if err := errors.Join(h.prepareDisk(), h.layFiles(ctx)); err != nil {
		return nil, fmt.Errorf("prepare disk of host %s: %w", o.Name, err)
	}
	if err := h.addFilter(ctx); err != nil {
		return nil, err
	}
	l.hosts = append(l.hosts, h)
	return h, errors.Join(l.saveNames(), l.save())
}

// namesFile is where a host finds the names of all of them, those booted after it too.
const namesFile = "/srv/lab/names"

// saveNames writes the names and addresses of the lab's hosts; the caller holds l.mu.
func (l *Lab) saveNames() error {
	names := "127.0.0.1 localhost\n" + gateway + " lab\n"
	for _, h := range l.hosts {
		names += h.IP() + " " + h.Name() + "\n"
	}
	file := filepath.Join(l.Shared(), filepath.Base(namesFile))
	if err := os.WriteFile(file+".new", []byte(names), 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// prepareDisk makes the host's own layer over the image: its name, its address and
// where the names of its neighbours stand.
func (h *Host) prepareDisk() error {
	etc := filepath.Join(h.disk(), "upper", "etc")
	for _, dir := range []string{
		filepath.Join(etc, "systemd", "network"), filepath.Join(h.disk(), "containers"),
		filepath.Join(h.disk(), "docker"), h.private(),
	} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	network := fmt.Sprintf("[Match]\nName=host0\n\n[Network]\nAddress=%s/%d\nGateway=%s\n"+
		"LinkLocalAddressing=no\nIPv6AcceptRA=no\nConfigureWithoutCarrier=yes\nIgnoreCarrierLoss=yes\n",
		h.IP(), prefixBits, gateway)
	return errors.Join(
		os.WriteFile(filepath.Join(etc, "systemd", "network", "10-host0.network"), []byte(network), 0o644),
		os.Symlink(namesFile, filepath.Join(etc, "hosts")),
		os.WriteFile(filepath.Join(etc, "hostname"), []byte(h.Name()+"\n"), 0o644),
	)
}

// layFiles copies the host's own files into its layer.
func (h *Host) layFiles(ctx context.Context) error {
	if h.options.Files == "" {
		return nil
	}
	return runLogged(ctx, h.ConsoleLog(), "cp", "-a", h.options.Files+"/.", filepath.Join(h.disk(), "upper"))
}

// Start powers the host on, on the disk it has, and returns when its systemd
// has finished starting. A host that runs is left as it is.
func (h *Host) Start(ctx context.Context) error {
	if _, err := h.leader(); err == nil {
		return nil
	}
	l, o := h.lab, h.options
	console, err := os.OpenFile(h.ConsoleLog(), os.O_CREATE|os.O_RDONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start host %s: %w", o.Name, err)
	}
	defer console.Close()
	if _, err := console.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("start host %s: %w", o.Name, err)
	}
	err = runLogged(ctx, h.ConsoleLog(), "nsenter", fmt.Sprintf("--target=%d", l.holder), "--net", "--mount", "--",
		"setsid", "--fork", "bash", filepath.Join(l.options.Dir, "host.sh"),
		o.Name, l.cgroup, o.Image, h.disk(), l.Shared(), h.private(), bridge, o.MachineID)
	if err != nil {
		return fmt.Errorf("start host %s: %w", o.Name, err)
	}
	var said strings.Builder
	return Wait(ctx, bootDeadline, h.waitingForBoot(), func(ctx context.Context) error {
		if _, err := io.Copy(&said, console); err != nil {
			return err
		}
		if _, end, ended := strings.Cut(said.String(), "host "+o.Name+" ended with "); ended {
			return Final(fmt.Errorf("%w: it ended with %s", ErrDown, strings.TrimSpace(end)))
		}
		return h.isUp(ctx, "")
	})
}

func (h *Host) waitingForBoot() string {
	return fmt.Sprintf("boot of host %s (see %s)", h.Name(), h.ConsoleLog())
}

// isUp returns nil when the host has booted, with another boot id than the
// old one, and its systemd has finished starting.
func (h *Host) isUp(ctx context.Context, oldBoot string) error {
	boot, err := h.BootID()
	if err != nil {
		return err
	}
	if boot == oldBoot {
		return errors.New("it has not gone down yet")
	}
	// The command fails unless the state is "running"; its word is the answer.
	out, err := h.Exec(ctx, nil, "systemctl", "is-system-running")
	switch state := strings.TrimSpace(out); state {
	case "running", "degraded":
		return nil
	case "":
		return err
	default:
		return fmt.Errorf("systemd says %s", state)
	}
}
