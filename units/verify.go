package units

import (
	"slices"
	"strings"
)

// Verify says everything that can be said about a unit file without a host: its
// name, its syntax, its placement options, and what systemd would certainly
// refuse to load. A file that systemd loads passes, unless its text is no UTF-8
// or has what systemd passes over with a warning and nobody can have meant: lines
// outside any section or without an =, a header one slip away from one of
// systemd's, a Type= or Restart= of a service that systemd.service(5) does not
// list. The error is an *Error for the name and Errors for the file.
func Verify(name Name, raw []byte) error {
	f, err := verifyText(name, raw)
	if err != nil {
		return err
	}
	return f.verify()
}

// verifyText refuses a name and a text that are no unit file.
func verifyText(name Name, raw []byte) (*File, error) {
	if _, err := ParseName(string(name)); err != nil {
		return nil, err
	}
	if err := Reserved(name); err != nil {
		return nil, err
	}
	v := verifier{faults: faults{file: string(name)}}
	switch n := len(raw); {
	case n == 0:
		v.add(1, "write at least a [Unit] section", "file is empty, which systemd takes for a masked unit")
		return nil, v.err()
	case n > MaxContent:
		v.add(1, "put large text into a file of its own", "file has %d bytes, %d is the most", n, MaxContent)
		return nil, v.err()
	}
	return Parse(name, raw)
}

// verify says what is wrong with a file that reads well.
func (f *File) verify() error {
	v := verifier{faults: faults{file: string(f.Name)}, file: f}
	known := v.sections()
	v.list = append(v.list, f.requirements().list...)
	if known {
		v.unit()
	}
	err := v.err()
	f.locate(err)
	return err
}

// sections refuses misspelt headers of systemd's, whose options it would pass over, and says whether
// the section of the unit's type is none of them.
func (v *verifier) sections() (known bool) {
	own := strings.ToUpper(v.file.Name.Type()[:1]) + v.file.Name.Type()[1:]
	known = true
	for _, h := range v.file.sections {
		if strings.HasPrefix(h.name, "X-") || sectionMeant(h.name) != "" || slices.Contains(systemdSections(), h.name) {
			continue
		}
		for _, meant := range []string{"Unit", "Install", own} {
			low, want := strings.ToLower(h.name), strings.ToLower(meant)
			if h.name == "" || len(h.name) > maxShown {
				continue
			}
			if low[0] == want[0] && oneSlip(low, want) || len(low) > 5 && distance(low, want) <= 2 {
				v.add(h.line, "write ["+meant+"]", "unknown section [%s]", visible(h.name))
				known = known && meant != own
				break
			}
		}
	}
	return known
}

// systemdSections are the headers that systemd knows in any unit file.
func systemdSections() []string {
	return []string{"Unit", "Install", "Service", "Socket", "Timer", "Path", "Mount", "Automount", "Swap", "Slice", "Scope", "Target", "Device"}
}

// verifier asks what systemd would refuse.
type verifier struct {
	faults
	file *File
}

// refuse adds a fault at the header of a section; without one, at the end of the file.
func (v *verifier) refuse(section, hint, format string, args ...any) {
	line := v.file.sectionLine(section)
	if line == 0 {
		line = max(1, strings.Count(strings.TrimRight(string(v.file.Raw), whitespace), "\n")+1)
	}
	v.add(line, hint, format, args...)
}

// unit applies systemd's own conditions for the unit's type.
func (v *verifier) unit() {
	switch v.file.Name.Type() {
	case "service":
		v.service()
	case "socket":
		v.oneOf("Socket", "listens on nothing", "add ListenStream= or another Listen option",
			"ListenStream", "ListenDatagram", "ListenSequentialPacket", "ListenFIFO", "ListenNetlink", "ListenSpecial",
			"ListenMessageQueue", "ListenUSBFunction")
	case "timer":
		v.oneOf("Timer", "never elapses", "add OnCalendar= or another On option",
			"OnCalendar", "OnActiveSec", "OnBootSec", "OnStartupSec", "OnUnitActiveSec", "OnUnitInactiveSec",
			"OnClockChange", "OnTimezoneChange")
	case "path":
		v.oneOf("Path", "watches no path", "add PathExists= or PathChanged=",
			"PathExists", "PathExistsGlob", "PathChanged", "PathModified", "DirectoryNotEmpty")
	case "mount":
		v.oneOf("Mount", "mounts nothing", "add What=", "What")
	}
}

// oneOf demands that at least one of the options has a value.
func (v *verifier) oneOf(section, msg, hint string, options ...string) {
	for _, name := range options {
		if _, ok := v.file.Value(section, name); ok || len(v.file.Values(section, name)) > 0 {
			return
		}
	}
	v.refuse(section, hint, "%s %s", v.file.Name.Type(), msg)
}

func (v *verifier) service() {
	f := v.file
	starts := f.Values("Service", "ExecStart")
	kind := f.ServiceType()
	success, _ := f.Value("Service", "SuccessAction")
	if s, ok := f.Value("Unit", "SuccessAction"); ok {
		success = s
	}
	remain, _ := f.Value("Service", "RemainAfterExit")
	remains, _ := parseBool(remain)
	acts := success != "" && success != "none"
	stops := len(f.Values("Service", "ExecStop")) > 0
	misspelt := false
	if len(starts) == 0 {
		misspelt = v.misspeltStart()
	}
	switch {
	case len(starts) > 0 || misspelt:
	case kind != "oneshot":
		v.refuse("Service", "add ExecStart= to [Service]", "service has no ExecStart=, which only Type=oneshot may lack")
	case !acts && !(stops && remains):
		v.refuse("Service", "add ExecStart= to [Service]", "service has no ExecStart=")
	}
	if kind != "oneshot" {
		v.singleStart()
	}
	if kind == "oneshot" {
		v.forbid("Restart", "Type=oneshot", "use on-failure, or remove Type=oneshot", "always", "on-success")
	}
	if kind == "dbus" && len(f.Values("Service", "BusName")) == 0 {
		v.refuse("Service", "add BusName=", "Type=dbus needs BusName=")
	}
	v.choices()
	v.limits()
	v.programs()
}

// misspeltStart refuses options that can only mean ExecStart=, in a service that has none.
func (v *verifier) misspeltStart() bool {
	found := false
	for _, o := range v.file.Options {
		if o.Section == "Service" && o.Name != "ExecStart" && len(o.Name) <= maxShown && distance(strings.ToLower(o.Name), "execstart") <= 2 {
			v.add(o.Line, "did you mean ExecStart=?", "unknown option %s=", printable(o.Name))
			found = true
		}
	}
	return found
}

// choices refuses values of a service's options that systemd would pass over.
func (v *verifier) choices() {
	v.choice("Type", serviceTypes())
	v.choice("Restart", []string{"no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always"})
}

// choice refuses values of an option of [Service] that systemd does not know, and would pass over.
func (v *verifier) choice(name string, known []string) {
	for _, o := range v.file.Options {
		if o.Section == "Service" && o.Name == name && o.Value != "" && !slices.Contains(known, o.Value) {
			v.add(o.Line, "write one of "+strings.Join(known, ", "), "%s=%s is not known to systemd", name, printable(o.Value))
		}
	}
}

// singleStart refuses a second command to start where systemd allows one.
func (v *verifier) singleStart() {
	count := 0
	for _, o := range v.file.execs() {
		if o.Name != "ExecStart" {
			continue
		}
		count += len(commands(o.Value))
		if count > 1 {
			v.add(o.Line, "use ExecStartPre=, or set Type=oneshot", "more than one ExecStart= command, which only Type=oneshot may have")
			return
		}
	}
}

// forbid refuses values of a scalar option of [Service].
func (v *verifier) forbid(name, with, hint string, values ...string) {
	if o, ok := v.file.last("Service", name); ok && slices.Contains(values, o.Value) {
		v.add(o.Line, hint, "%s=%s is not allowed with %s", name, o.Value, with)
	}
}

// programs refuses commands that are neither an absolute path nor the bare name of a program.
func (v *verifier) programs() {
	for _, o := range v.file.execs() {
		switch o.Name {
		case "ExecStart", "ExecStartPre", "ExecStartPost", "ExecStop", "ExecStopPost", "ExecReload", "ExecCondition":
		default:
			continue
		}
		for _, c := range commands(o.Value) {
			program := c.words[0]
			if c.ignored || c.quoted || strings.ContainsAny(program, `%\$`) {
				continue
			}
			if strings.Contains(program, "/") && program[0] != '/' {
				v.add(o.Line, "write the absolute path", "%s= program %s is neither an absolute path nor a bare name", o.Name, printable(program))
			}
		}
	}
}
