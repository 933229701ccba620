package fake

import (
	"path"
	"strconv"
	"strings"
	"time"
)

// definition is what a unit file and its drop-ins say, as far as this systemd
// cares. It is never changed after it was parsed.
type definition struct {
	fragment string   // path of the file
	dropIns  []string // paths, in order
	bad      bool     // a service without ExecStart=
	behave   Behaviour

	requires, requisite, wants, partOf, conflicts, after, before []string

	kind          string // "service", "target", "timer", …
	oneshot       bool
	remain        bool // RemainAfterExit=, RemainAfterElapse=
	restart       string
	restartWait   time.Duration
	stopLimit     time.Duration
	startInterval time.Duration
	startBurst    int
	onActive      time.Duration // of a timer; negative: not set
	onStartup     time.Duration
	triggers      string        // the unit that a timer starts
	startLimit    time.Duration // of a command that RunOnce runs; 0 = none
	transient     bool
	keepsFailure  bool     // a transient unit that failed stays
	pulls         image    // that its command fetches
	stops         []string // units that its command stops by systemctl
}

// settings are the values of a unit file: section.Key to its values in order.
type settings map[string][]string

// read adds a file. An empty value takes back those before it, as in systemd.
func (s settings) read(data string) {
	section := ""
	data = strings.ReplaceAll(data, "\\\n", " ")
	for line := range strings.Lines(data) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' {
			section = strings.Trim(line, "[]")
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		key, value = section+"."+strings.TrimSpace(key), strings.TrimSpace(value)
		if value == "" {
			s[key] = nil
			continue
		}
		s[key] = append(s[key], value)
	}
}

func (s settings) last(key string) string {
	if v := s[key]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

func (s settings) names(keys ...string) []string {
	var names []string
	for _, key := range keys {
		for _, v := range s[key] {
			names = append(names, strings.Fields(v)...)
		}
	}
	return names
}

func (s settings) span(key string, otherwise time.Duration) time.Duration {
	if d, ok := span(s.last(key)); ok {
		return d
	}
	return otherwise
}

func (s settings) yes(key string, otherwise bool) bool {
	switch strings.ToLower(s.last(key)) {
	case "yes", "true", "on", "1", "y", "t":
		return true
	case "no", "false", "off", "0", "n", "f":
		return false
	}
	return otherwise
}

// span reads systemd's notation of a duration, as in "1min 30s" or "5".
func span(text string) (time.Duration, bool) {
	if text == "infinity" {
		return forever, true
	}
	units := map[string]time.Duration{
		"": time.Second, "us": time.Microsecond, "ms": time.Millisecond, "s": time.Second, "sec": time.Second,
		"m": time.Minute, "min": time.Minute, "h": time.Hour, "hr": time.Hour, "d": 24 * time.Hour,
	}
	var sum time.Duration
	rest := strings.TrimSpace(text)
	if rest == "" {
		return 0, false
	}
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if n < 0 {
			n = len(rest)
		}
		number, err := strconv.ParseFloat(rest[:n], 64)
		if err != nil {
			return 0, false
		}
		rest = strings.TrimLeft(rest[n:], " ")
		n = strings.IndexFunc(rest, func(r rune) bool { return r < 'a' || r > 'z' })
		if n < 0 {
			n = len(rest)
		}
		unit, ok := units[rest[:n]]
		if !ok {
			return 0, false
		}
		sum += time.Duration(number * float64(unit))
		rest = strings.TrimLeft(rest[n:], " ")
	}
	return sum, true
}

const (
	forever     = time.Duration(1<<63 - 1)
	defaultStop = 90 * time.Second
)

// define makes a definition of a file and its drop-ins.
func define(name, instance string, s settings) *definition {
	if instance != "" {
		for key, values := range s {
			expanded := make([]string, len(values))
			for i, v := range values {
				expanded[i] = strings.ReplaceAll(v, "%i", instance)
			}
			s[key] = expanded
		}
	}
	d := &definition{
		kind:          kindOf(name),
		requires:      s.names("Unit.Requires", "Unit.BindsTo"),
		requisite:     s.names("Unit.Requisite"),
		wants:         s.names("Unit.Wants"),
		partOf:        s.names("Unit.PartOf"),
		conflicts:     s.names("Unit.Conflicts"),
		after:         s.names("Unit.After"),
		before:        s.names("Unit.Before"),
		oneshot:       s.last("Service.Type") == "oneshot",
		remain:        s.yes("Service.RemainAfterExit", false) || s.yes("Timer.RemainAfterElapse", kindOf(name) == "timer"),
		restart:       s.last("Service.Restart"),
		restartWait:   s.span("Service.RestartSec", 100*time.Millisecond),
		stopLimit:     s.span("Service.TimeoutStopSec", defaultStop),
		startInterval: s.span("Unit.StartLimitIntervalSec", 10*time.Second),
		startBurst:    5,
		onActive:      s.span("Timer.OnActiveSec", -1),
		onStartup:     s.span("Timer.OnStartupSec", -1),
		triggers:      s.last("Timer.Unit"),
	}
	if n, err := strconv.Atoi(s.last("Unit.StartLimitBurst")); err == nil {
		d.startBurst = n
	}
	if d.kind == "timer" && d.triggers == "" {
		d.triggers = strings.TrimSuffix(name, ".timer") + ".service"
	}
	command := s.last("Service.ExecStart")
	d.bad = d.kind == "service" && command == ""
	d.behave, d.stops = read(command)
	switch s.last("Service.KillSignal") { // signals that do not end a process
	case "SIGCONT", "SIGCHLD", "SIGURG", "SIGWINCH":
		d.behave.IgnoreTerm = true
	}
	return d
}

// read says what the few commands do that this systemd knows. All others run until they are stopped.
func read(command string) (Behaviour, []string) {
	words := strings.Fields(strings.TrimLeft(command, "-@:+!"))
	if len(words) == 0 {
		return Behaviour{}, nil
	}
	switch path.Base(words[0]) {
	case "true", "echo":
		return Behaviour{Exits: true}, nil
	case "false":
		return Behaviour{Exits: true, Status: 1}, nil
	case "nonexistent":
		return Behaviour{Exits: true, Status: 203}, nil
	case "sleep":
		if d, ok := span(strings.Join(words[1:], " ")); ok && d < forever {
			return Behaviour{Exits: true, Run: d}, nil
		}
	case "systemctl":
		return Behaviour{Exits: true}, stopped(words[1:])
	}
	return Behaviour{}, nil
}

// stopped returns the units that a systemctl command stops.
func stopped(words []string) []string {
	var plain []string
	for _, w := range words {
		if !strings.HasPrefix(w, "-") {
			plain = append(plain, w)
		}
	}
	if len(plain) < 2 || plain[0] != "stop" {
		return nil
	}
	return plain[1:]
}

func kindOf(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// instanceOf splits web@1.service into web@.service and 1.
func instanceOf(name string) (template, instance string) {
	at, dot := strings.IndexByte(name, '@'), strings.LastIndexByte(name, '.')
	if at < 1 || dot <= at+1 {
		return "", ""
	}
	return name[:at+1] + name[dot:], name[at+1 : dot]
}
