package reboots

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"flotilla/agent/systemd"
	"flotilla/cluster"
)

// defaultCheck is how long a check may take that does not say.
const defaultCheck = 10 * time.Second

// Runner is what commands need of a systemd: systemd.Manager, or the fake's Host.
type Runner interface {
	RunOnce(ctx context.Context, name string, o systemd.Once) (outcome string, err error)
	Start(ctx context.Context, name string) (outcome string, err error)
}

// Journal reads the end of a command's log.
type Journal interface {
	LastLines(ctx context.Context, unit, invocationID string, n int) ([]systemd.LogEntry, error)
}

// Checks makes the checks of a group from this host. It is safe for use by many goroutines.
type Checks struct {
	Systemd Runner
	Journal Journal
}

// Check makes one check. The error says what is not well; what does not answer is not well.
func (k Checks) Check(ctx context.Context, c cluster.Check) error {
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = defaultCheck
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var what string
	var err error
	switch {
	case c.HTTP != "":
		what, err = "GET "+c.HTTP, get(ctx, c.HTTP)
	case c.TCP != "":
		what, err = "connect to "+c.TCP, connect(ctx, c.TCP)
	case c.Command != "":
		what, err = fmt.Sprintf("command %q", c.Command), k.command(ctx, c.Command, timeout)
	case c.PromQL != nil:
		what, err = fmt.Sprintf("query %q", c.PromQL.Query), query(ctx, *c.PromQL)
	default:
		return errors.New("a check that checks nothing: give it http, tcp, command or promql")
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: no answer within %s", what, timeout)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// get asks for a URL with a new connection: what a reboot ends must not look alive.
func get(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return plain(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("answered %s", answer.Status)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20))
	return err
}

// plain is an error without the URL that the sentence has already.
func plain(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

func connect(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// command has systemd run a command as a service in memory. It leaves no failed unit behind, which would make the host look
// degraded.
func (k Checks) command(ctx context.Context, line string, limit time.Duration) error {
	name := commandUnit(line)
	began := time.Now()
	outcome, err := k.Systemd.RunOnce(ctx, name, systemd.Once{
		Description: "Checks this host for a reboot", Command: []string{"/bin/sh", "-c", line}, Limit: limit, Forget: true,
	})
	if errors.Is(err, systemd.ErrExists) { // an agent before this one began it
		outcome, err = k.Systemd.Start(ctx, name)
	}
	switch {
	case err != nil:
		return err
	case outcome == systemd.Done:
		return nil
	}
	if said := k.said(ctx, name, began); said != "" {
		return fmt.Errorf("ended with %s: %s", outcome, said)
	}
	return fmt.Errorf("ended with %s; see journalctl -u %s", outcome, name)
}

// commandUnit is the name of the service that runs a command.
func commandUnit(line string) string {
	sum := sha256.Sum256([]byte(line))
	return fmt.Sprintf("flotilla-check-%x.service", sum[:8])
}

// said is the last line that a command printed itself since it began.
func (k Checks) said(ctx context.Context, name string, began time.Time) string {
	lines, err := k.Journal.LastLines(ctx, name, "", 10)
	if err != nil {
		return ""
	}
	for _, e := range slices.Backward(lines) {
		if text := strings.TrimSpace(strings.ToValidUTF8(string(e.Message), "?")); text != "" && e.Identifier != "systemd" && !e.Time.Before(began) {
			return text
		}
	}
	return ""
}

// query asks a Prometheus. An empty result is well, as that of an alert which does not fire.
func query(ctx context.Context, q cluster.PromQL) error {
	client, err := api.NewClient(api.Config{Address: q.URL, RoundTripper: &http.Transport{DisableKeepAlives: true}})
	if err != nil {
		return err
	}
	value, _, _, err := prometheus.NewAPI(client).Query(ctx, q.Query, time.Time{})
	if err != nil {
		return err
	}
	switch found := value.(type) {
	case model.Vector:
		if len(found) == 0 {
			return nil
		}
		return fmt.Errorf("has %d results, the first is %s", len(found), found[0].Metric)
	case model.Matrix:
		if len(found) == 0 {
			return nil
		}
		return fmt.Errorf("has %d results, the first is %s", len(found), found[0].Metric)
	}
	return fmt.Errorf("gives a %s: write it so that its result is empty while all is well, as an alert", value.Type())
}
