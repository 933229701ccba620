package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"flotilla/cluster"
	"flotilla/leader/plan"
	"flotilla/units"
)

// Client talks to a daemon. Make one with NewClient.
type Client struct {
	base string
	http *http.Client
}

// answerWithin is how long a daemon may take to begin its answer: more than it waits for etcd
// in any request. Only a daemon that hangs takes longer.
const answerWithin = time.Minute

// NewClient talks to endpoint: unix:///path/of/socket, or https://host:port with tlsConfig.
func NewClient(endpoint string, tlsConfig *tls.Config) (*Client, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: %w (want unix:///path or https://host:port)", endpoint, err)
	}
	switch {
	case u.Scheme == "unix" && u.Path != "":
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialRestarted(ctx, func() (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "unix", u.Path) })
		}
		return &Client{base: "http://flotilla", http: &http.Client{Transport: &http.Transport{DialContext: dial, ResponseHeaderTimeout: answerWithin}}}, nil
	case u.Scheme == "https" && u.Host != "":
		return &Client{base: "https://" + u.Host, http: &http.Client{Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, TLSHandshakeTimeout: 5 * time.Second,
			TLSClientConfig: tlsConfig, ResponseHeaderTimeout: answerWithin,
		}}}, nil
	}
	return nil, fmt.Errorf("endpoint %q: want unix:///path or https://host:port", endpoint)
}

// restartWait is how long a daemon on this host may be between two lives.
const restartWait = 2 * time.Second

// dialRestarted connects to a socket of this host. A daemon that has just ended leaves one on
// which nobody listens: it is tried again for restartWait.
func dialRestarted(ctx context.Context, dial func() (net.Conn, error)) (net.Conn, error) {
	limit := time.NewTimer(restartWait)
	defer limit.Stop()
	tick := time.NewTicker(restartWait / 40)
	defer tick.Stop()
	for {
		conn, err := dial()
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return conn, err
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return nil, err
		case <-ctx.Done():
			return nil, err
		}
	}
}

// NewClientWith talks to https://address through a transport of the caller's.
func NewClientWith(address string, transport http.RoundTripper) *Client {
	return &Client{base: "https://" + address, http: &http.Client{Transport: transport}}
}

// Cluster is GET /v1/cluster.
func (c *Client) Cluster(ctx context.Context) (Cluster, error) {
	return get[Cluster](ctx, c, "/v1/cluster", nil)
}

// Version is GET /v1/version.
func (c *Client) Version(ctx context.Context) (Version, error) {
	return get[Version](ctx, c, "/v1/version", nil)
}

// Unit is GET /v1/units/NAME.
func (c *Client) Unit(ctx context.Context, name string) (Unit, error) {
	return get[Unit](ctx, c, "/v1/units/"+url.PathEscape(name), nil)
}

// Units lists the units that match any of the globs (all without one), by name.
func (c *Client) Units(ctx context.Context, globs []string, each func(Unit) error) error {
	return list(ctx, c, "/v1/units", url.Values{"match": globs}, each)
}

// UnitsOn lists the units that a host (id, unique id prefix or name) has an order for or runs without one, by name.
func (c *Client) UnitsOn(ctx context.Context, host string, each func(Unit) error) error {
	return list(ctx, c, "/v1/units", url.Values{"host": {host}}, each)
}

// WatchUnits calls each with every named unit as it is, and again after each change
// later than revision from, until ctx ends or each returns an error.
func (c *Client) WatchUnits(ctx context.Context, names []string, from int64, each func(Unit) error) error {
	q := url.Values{"name": names, "watch": {strconv.FormatInt(from, 10)}}
	return list(ctx, c, "/v1/units", q, each)
}

// Content is the unit file as it was submitted, byte for byte.
func (c *Client) Content(ctx context.Context, name string) ([]byte, error) {
	resp, err := c.do(ctx, http.MethodGet, "/v1/units/"+url.PathEscape(name)+"/content", nil, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// DropIns are the unit's drop-ins as they were submitted, by name.
func (c *Client) DropIns(ctx context.Context, name string) ([]DropIn, error) {
	var out []DropIn
	err := list(ctx, c, "/v1/units/"+url.PathEscape(name)+"/dropins", nil, func(d DropIn) error { out = append(out, d); return nil })
	return out, err
}

// Change sends a batch and returns one Result each, in order. It is sent under one request
// id, and once more when the connection breaks before the answer came.
func (c *Client) Change(ctx context.Context, changes []Change) ([]Result, error) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	for _, ch := range changes {
		if err := sendable(ch); err != nil {
			return nil, err
		}
		if err := enc.Encode(ch); err != nil {
			return nil, fmt.Errorf("encode change of %s: %w", ch.Name, err)
		}
	}
	header := http.Header{"Request-Id": {rand.Text()}}
	out, err := c.changeOnce(ctx, body.Bytes(), header)
	if broken(err) && ctx.Err() == nil {
		out, err = c.changeOnce(ctx, body.Bytes(), header)
	}
	if err == nil && len(out) != len(changes) {
		err = fmt.Errorf("the daemon answered %d of %d changes", len(out), len(changes))
	}
	return out, err
}

// sendable refuses content that JSON would change on its way. The error is a *units.Error.
func sendable(ch Change) error {
	if ch.DropIns != nil {
		if err := units.VerifyDropIns(units.Name(ch.Name), listed(*ch.DropIns)); err != nil {
			return cited(ch.Name, ch.File, err)
		}
	}
	if ch.Content == nil || utf8.ValidString(*ch.Content) {
		return nil
	}
	_, err := units.Parse(units.Name(cmp.Or(ch.File, ch.Name)), []byte(*ch.Content))
	var first *units.Error
	if errors.As(err, &first) {
		return first
	}
	return fmt.Errorf("%s: text is not valid UTF-8", ch.Name)
}

func (c *Client) changeOnce(ctx context.Context, body []byte, header http.Header) ([]Result, error) {
	resp, err := c.doWith(ctx, http.MethodPost, "/v1/changes", nil, bytes.NewReader(body), header)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var out []Result
	err = each(resp.Body, func(r Result) error { out = append(out, r); return nil })
	return out, err
}

// broken says that a connection ended in the middle.
func broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// Lost says that an answer did not come or broke off because its daemon ended or cannot be reached.
func Lost(err error) bool {
	var told *Error
	return broken(err) || errors.Is(err, ErrUnreachable) || errors.As(err, &told) && told.Status == 0 && told.Code == CodeUnavailable
}

// Hosts lists the hosts by id.
func (c *Client) Hosts(ctx context.Context) ([]Host, error) {
	var out []Host
	err := list(ctx, c, "/v1/hosts", nil, func(h Host) error { out = append(out, h); return nil })
	return out, err
}

// Host is the host with this id, unique id prefix or name.
func (c *Client) Host(ctx context.Context, host string) (Host, error) {
	return get[Host](ctx, c, "/v1/hosts/"+url.PathEscape(host), nil)
}

// PatchHost changes what the operator says of the host with this id, unique id prefix or name.
func (c *Client) PatchHost(ctx context.Context, host string, p HostPatch) (Host, error) {
	return send[Host](ctx, c, http.MethodPatch, "/v1/hosts/"+url.PathEscape(host), p)
}

// PlanDrain says what draining hosts (ids, unique id prefixes or names) comes to, and changes nothing.
func (c *Client) PlanDrain(ctx context.Context, hosts []string) ([]plan.DrainStep, error) {
	d, err := send[DrainPlan](ctx, c, http.MethodPost, "/v1/drains", Drains{Hosts: hosts})
	return d.Steps, err
}

// WatchHosts calls each with the hosts as they are, from a revision on, and with those that change.
func (c *Client) WatchHosts(ctx context.Context, from int64, each func(Host) error) error {
	return list(ctx, c, "/v1/hosts", url.Values{"watch": {strconv.FormatInt(from, 10)}}, each)
}

// Reboots calls each with where hosts, groups and the policy stand: hosts by name, then groups by name.
func (c *Client) Reboots(ctx context.Context, each func(RebootLine) error) error {
	return list(ctx, c, "/v1/reboots", nil, each)
}

// WatchReboots is Reboots that goes on with what changes, from a revision on.
func (c *Client) WatchReboots(ctx context.Context, from int64, each func(RebootLine) error) error {
	return list(ctx, c, "/v1/reboots", url.Values{"watch": {strconv.FormatInt(from, 10)}}, each)
}

// History calls each with the outcomes of reboots, newest first: of one host (id, unique id prefix or name), or of all;
// at most limit, 0 = all that are kept.
func (c *Client) History(ctx context.Context, host string, limit int, each func(cluster.Record) error) error {
	v := url.Values{"limit": {strconv.Itoa(limit)}}
	if host != "" {
		v.Set("host", host)
	}
	return list(ctx, c, "/v1/reboots/history", v, each)
}

// PatchPolicy changes what holds for the reboots of all hosts.
func (c *Client) PatchPolicy(ctx context.Context, p PolicyPatch) (RebootPolicy, error) {
	return send[RebootPolicy](ctx, c, http.MethodPatch, "/v1/reboots/policy", p)
}

// FreezeGroup freezes a group's hosts, or thaws them.
func (c *Client) FreezeGroup(ctx context.Context, group string, ask Maybe[FreezeAsk]) error {
	_, err := send[RebootGroup](ctx, c, http.MethodPatch, "/v1/reboots/groups/"+url.PathEscape(group), GroupPatch{Freeze: ask})
	return err
}

// Doctor calls each with what a person should mend: of one host (id, unique id prefix or name), or of all.
func (c *Client) Doctor(ctx context.Context, host string, each func(Ailment) error) error {
	v := url.Values{}
	if host != "" {
		v.Set("host", host)
	}
	return list(ctx, c, "/v1/doctor", v, each)
}

// Explain is GET /v1/explain/THING.
func (c *Client) Explain(ctx context.Context, thing string) (Explanation, error) {
	return get[Explanation](ctx, c, "/v1/explain/"+url.PathEscape(thing), nil)
}

// Simulate is POST /v1/simulate.
func (c *Client) Simulate(ctx context.Context, s Simulation) (plan.Forecast, error) {
	return send[plan.Forecast](ctx, c, http.MethodPost, "/v1/simulate", s)
}

// Snapshot is all that the planner looks at, as plan.Saved reads it.
func (c *Client) Snapshot(ctx context.Context) ([]byte, error) {
	resp, err := c.do(ctx, http.MethodGet, "/v1/snapshot", nil, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// Rebalance is POST /v1/rebalance.
func (c *Client) Rebalance(ctx context.Context, r Rebalance) (Rebalanced, error) {
	return send[Rebalanced](ctx, c, http.MethodPost, "/v1/rebalance", r)
}

// LogQuery says which journal lines are wanted.
type LogQuery struct {
	Thing  string // a unit or a host; empty = the daemons themselves
	Host   string // only this host's
	Lines  int
	Follow bool
}

// Logs calls each with journal lines from every host that runs the thing.
func (c *Client) Logs(ctx context.Context, q LogQuery, each func(LogEntry) error) error {
	v := url.Values{"lines": {strconv.Itoa(q.Lines)}, "follow": {strconv.FormatBool(q.Follow)}}
	if q.Host != "" {
		v.Set("host", q.Host)
	}
	return list(ctx, c, "/v1/logs/"+url.PathEscape(q.Thing), v, each)
}

// mostBefore is how many past events come before those that are followed.
const mostBefore = 10

// Events calls each with all events that the daemon remembers, oldest first, or with follow
// the newest few of them and then what happens from now on.
func (c *Client) Events(ctx context.Context, follow bool, each func(Event) error) error {
	v := url.Values{}
	if follow {
		v.Set("watch", "0")
		v.Set("limit", strconv.Itoa(mostBefore))
	}
	return list(ctx, c, "/v1/events", v, each)
}

// EventsAfter calls each with all events later than a revision that the daemon remembers, and
// then with what happens from now on.
func (c *Client) EventsAfter(ctx context.Context, rev int64, each func(Event) error) error {
	return list(ctx, c, "/v1/events", url.Values{"watch": {strconv.FormatInt(rev, 10)}}, each)
}

// ResumeFailover ends the storm brake: hosts absent by now are failed over.
func (c *Client) ResumeFailover(ctx context.Context) (Resumed, error) {
	return send[Resumed](ctx, c, http.MethodPost, "/v1/failover/resume", struct{}{})
}

// StopOrphan ends a unit that runs on a host without any order.
func (c *Client) StopOrphan(ctx context.Context, host, unit string) error {
	path := "/v1/hosts/" + url.PathEscape(host) + "/orphans/" + url.PathEscape(unit) + "/stop"
	_, err := send[struct{}](ctx, c, http.MethodPost, path, struct{}{})
	return err
}

// AcceptStore lets hosts that remember another store follow this one.
func (c *Client) AcceptStore(ctx context.Context) (string, error) {
	r, err := send[Accepted](ctx, c, http.MethodPost, "/v1/store/accept", struct{}{})
	return r.Note, err
}

// Token is a one-time join token.
type Token struct {
	Token   string `json:"token"`
	Address string `json:"address"` // where to join
	Expires string `json:"expires"` // duration
}

// NewToken mints a join token that lives for ttl (a Go duration; empty = 1 h).
func (c *Client) NewToken(ctx context.Context, ttl string) (Token, error) {
	return send[Token](ctx, c, http.MethodPost, "/v1/tokens", map[string]string{"ttl": ttl})
}

func get[T any](ctx context.Context, c *Client, path string, q url.Values) (T, error) {
	var out T
	resp, err := c.do(ctx, http.MethodGet, path, q, nil)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return out, fmt.Errorf("decode answer of %s: %w", path, err)
	}
	return out, nil
}

func send[T any](ctx context.Context, c *Client, method, path string, body any) (T, error) {
	var out T
	data, err := json.Marshal(body)
	if err != nil {
		return out, fmt.Errorf("encode %s %s: %w", method, path, err)
	}
	resp, err := c.do(ctx, method, path, nil, bytes.NewReader(data))
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil && !errors.Is(err, io.EOF) {
		return out, fmt.Errorf("decode answer of %s: %w", path, err)
	}
	return out, nil
}

func list[T any](ctx context.Context, c *Client, path string, q url.Values, fn func(T) error) error {
	resp, err := c.do(ctx, http.MethodGet, path, q, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return each(resp.Body, fn)
}

// do sends a request and turns every status of 400 and above into an *Error.
func (c *Client) do(ctx context.Context, method, path string, q url.Values, body io.Reader) (*http.Response, error) {
	return c.doWith(ctx, method, path, q, body, http.Header{})
}

func (c *Client) doWith(ctx context.Context, method, path string, q url.Values, body io.Reader, header http.Header) (*http.Response, error) {
	target := c.base + path
	if len(q) > 0 {
		target += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header = header
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unreachable(err)
	}
	if resp.StatusCode < 400 {
		return resp, nil
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return nil, fmt.Errorf("read the daemon's refusal: %w", err)
	}
	e := &Error{Status: resp.StatusCode}
	if json.Unmarshal(data, e) != nil || e.Message == "" {
		e = Refuse(resp.StatusCode, "", "%s", strings.TrimSpace(string(data)))
	}
	return nil, e
}

// ErrUnreachable says that no daemon answered.
var ErrUnreachable = errors.New("no daemon answers")

func unreachable(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		if errors.Is(op, fs.ErrPermission) {
			return fmt.Errorf("%w at %s: %w (this needs root: sudo flotilla …; --endpoint names another daemon)", ErrUnreachable, op.Addr, op.Err)
		}
		return fmt.Errorf("%w at %s: %w (is flotilla-agent running? --endpoint names another daemon)", ErrUnreachable, op.Addr, op.Err)
	}
	var server *tls.CertificateVerificationError
	if errors.As(err, &server) {
		return fmt.Errorf("the daemon's certificate is not good: %w (is --ca the ca.crt of this cluster, and the address one of the host's?)", server.Err)
	}
	if op != nil && op.Op == "remote error" {
		return fmt.Errorf("the daemon refused our certificate: %w (is --cert of this cluster, and still good? flotilla admin-cert makes one)", op.Err)
	}
	var at *url.Error
	if errors.As(err, &at) {
		return fmt.Errorf("ask the daemon: %w", at.Err)
	}
	return err
}

// Local is what the daemon says of itself and its agent; it needs no store.
func (c *Client) Local(ctx context.Context) (Local, error) {
	return get[Local](ctx, c, "/v1/local", nil)
}

// LocalOf is what the daemon on the host with this id, unique id prefix or name says of itself.
func (c *Client) LocalOf(ctx context.Context, host string) (Local, error) {
	return get[Local](ctx, c, "/v1/local", url.Values{"host": {host}})
}
