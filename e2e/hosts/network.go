package hosts

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Do runs fn on a thread that is in the lab's network namespace: sockets that
// it opens itself are the lab's. Goroutines that fn starts are not there.
func (l *Lab) Do(fn func() error) error {
	result := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with this goroutine, so that no
		// other one is ever run in the lab's namespace.
		runtime.LockOSThread()
		result <- l.enter(fn)
	}()
	return <-result
}

func (l *Lab) enter(fn func() error) error {
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", l.holder))
	if err != nil {
		return fmt.Errorf("enter the network of lab %s: %w", l.options.Name, err)
	}
	defer namespace.Close()
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network of lab %s: %w", l.options.Name, err)
	}
	return fn()
}

// DialContext opens a connection to a host of the lab, by its name or address.
// The connection works from anywhere once it is open.
func (l *Lab) DialContext(ctx context.Context, network, target string) (net.Conn, error) {
	name, port, err := net.SplitHostPort(target)
	if err != nil {
		return nil, err
	}
	if h := l.Host(name); h != nil {
		name = h.IP()
	}
	if net.ParseIP(name) == nil {
		return nil, fmt.Errorf("dial %s: lab %s has no such host", target, l.options.Name)
	}
	var conn net.Conn
	err = l.Do(func() error {
		var dialer net.Dialer
		var err error
		conn, err = dialer.DialContext(ctx, network, net.JoinHostPort(name, port))
		return err
	})
	return conn, err
}

// HTTPTransport returns a transport whose connections go into the lab. It
// keeps no connection between requests.
func (l *Lab) HTTPTransport() *http.Transport {
	return &http.Transport{DialContext: l.DialContext, DisableKeepAlives: true, ResponseHeaderTimeout: 30 * time.Second}
}

// Command prepares a command of this machine that runs in the lab's network,
// as a client that stands on the bridge.
func (l *Lab) Command(ctx context.Context, args ...string) *exec.Cmd {
	enter := []string{fmt.Sprintf("--target=%d", l.holder), "--net", "--"}
	cmd := exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Cut takes the host off the network without its noticing: packets from and
// to it are lost, the link stays up.
func (h *Host) Cut(ctx context.Context) error {
	return h.filter(ctx,
		fmt.Sprintf(`add rule bridge lab cut-%s iifname "%s" drop`, h.Name(), h.port()),
		fmt.Sprintf(`add rule bridge lab cut-%s oifname "%s" drop`, h.Name(), h.port()))
}

// CutFrom loses all packets between this host and the others named.
func (h *Host) CutFrom(ctx context.Context, others ...*Host) error {
	var rules []string
	for _, other := range others {
		rules = append(rules,
			fmt.Sprintf(`add rule bridge lab cut-%s iifname "%s" oifname "%s" drop`, h.Name(), h.port(), other.port()),
			fmt.Sprintf(`add rule bridge lab cut-%s iifname "%s" oifname "%s" drop`, h.Name(), other.port(), h.port()))
	}
	return h.filter(ctx, rules...)
}

// CutPort loses the TCP packets of connections that this host has, or opens,
// to that port of other hosts.
func (h *Host) CutPort(ctx context.Context, port int) error {
	return h.filter(ctx,
		fmt.Sprintf(`add rule bridge lab cut-%s iifname "%s" tcp dport %d drop`, h.Name(), h.port(), port),
		fmt.Sprintf(`add rule bridge lab cut-%s oifname "%s" tcp sport %d drop`, h.Name(), h.port(), port))
}

// CutReplies loses the TCP packets that come back to this host on connections
// to that port of other hosts: what it asks for is done, but it never hears so.
func (h *Host) CutReplies(ctx context.Context, port int) error {
	return h.filter(ctx, fmt.Sprintf(`add rule bridge lab cut-%s oifname "%s" tcp sport %d drop`, h.Name(), h.port(), port))
}

// Heal undoes every cut made with this host's methods.
func (h *Host) Heal(ctx context.Context) error {
	return h.filter(ctx, "flush chain bridge lab cut-"+h.Name())
}

// addFilter makes the chain that holds the host's cuts.
func (h *Host) addFilter(ctx context.Context) error {
	rules := []string{"add chain bridge lab cut-" + h.Name()}
	for _, hook := range []string{"forward", "input", "output"} {
		rules = append(rules, fmt.Sprintf("add rule bridge lab %s jump cut-%s", hook, h.Name()))
	}
	return h.filter(ctx, rules...)
}

// filter applies firewall rules in the lab's network, all or none.
func (h *Host) filter(ctx context.Context, rules ...string) error {
	cmd := h.lab.Command(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(strings.Join(rules, "\n") + "\n")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("filter packets of host %s: %w: %s", h.Name(), err, strings.TrimSpace(stderr.String()))
	}
	return nil
}

// port is the host's end on the bridge, as systemd-nspawn names it.
func (h *Host) port() string { return "vb-" + h.Name() }
