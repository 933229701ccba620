package templates

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"flotilla/units"
)

// libraryNoise is what the Compose library says before what is wrong, or of its own insides.
var libraryNoise = regexp.MustCompile(`^validating [^:]*: |^decoding failed due to the following error\(s\): |strconv\.\w+: |time: |: invalid compose project$`)

// badPort is what the library says of ports.
var badPort = regexp.MustCompile(`(?i)^invalid (containerPort|hostPort|proto|IP address|port|ranges?)\b`)

// badName is what the library says of a service or a volume whose name is none.
var badName = regexp.MustCompile(`^(services|volumes) additional properties '(.*)' not allowed$`)

var inQuotes = regexp.MustCompile(`'([^']+)'`)

// Locate makes an error of the Compose library one with a line. The library names a path, or
// only what it did not like.
func (d *Document) Locate(err error) *units.Error {
	msg := oneLine(err.Error())
	for before := ""; before != msg; {
		before, msg = msg, libraryNoise.ReplaceAllString(msg, "")
	}
	path := d.pathIn(msg)
	line := d.Line(path...)
	switch {
	case badPort.MatchString(msg):
		line = max(line, d.findPort(msg))
	case strings.Contains(msg, "project name"):
		path, line = []string{"name"}, d.Line("name")
	case len(path) < 3:
		line = max(line, d.find(msg))
	}
	if before, ok := strings.CutSuffix(msg, " must be a null"); ok { // of several kinds the library names the last
		msg = before + " is of the wrong kind"
	}
	if m := badName.FindStringSubmatch(msg); m != nil {
		return d.fault(line, "a name is made of letters, digits and _ . -", m[1]+" cannot have the name "+shown(m[2]))
	}
	return d.fault(line, expected(path, msg), msg)
}

// expected says what should stand at a path.
func expected(path []string, msg string) string {
	switch {
	case badPort.MatchString(msg):
		return `write "8080:80" or "127.0.0.1:8080:80/udp"`
	case strings.Contains(msg, "interpolation format"):
		return "write ${NAME} for a variable, $$ for a dollar"
	case strings.Contains(msg, "required variable"):
		return "set it"
	case len(path) == 1 && path[0] == "name":
		return "write small letters, digits, _ and -"
	case len(path) == 0:
		return "see the Compose specification"
	}
	switch last := path[len(path)-1]; last {
	case "stop_grace_period", "interval", "timeout", "start_period", "start_interval":
		return "write a duration such as 30s or 2m"
	case "memory", "size":
		return "write an amount such as 512m"
	case "cpus":
		return "write a number of cores such as 0.5"
	case "replicas", "retries", "pids":
		return "write a number"
	case "read_only", "disable":
		return "write true or false"
	case "command", "entrypoint", "test":
		return "write a command in text, or a list of its words"
	}
	if strings.Contains(msg, "must be a mapping") {
		return "write name: value below it"
	}
	return "see the Compose specification"
}

// pathIn finds a path such as services.web.ports[0] in a message. Names may hold dots, so the
// document says where one ends.
func (d *Document) pathIn(msg string) []string {
	start := slices.Min([]int{index(msg, "services"), index(msg, "volumes"), len(msg)})
	s := msg[start:]
	var path []string
	for n := d.root; n != nil; {
		s = strings.TrimLeft(s, ".[]'")
		longest := ""
		for _, name := range names(n) {
			rest, ok := strings.CutPrefix(s, name)
			if ok && len(name) > len(longest) && (rest == "" || strings.ContainsRune(".[]': ", rune(rest[0]))) {
				longest = name
			}
		}
		if longest == "" {
			break
		}
		path = append(path, longest)
		s = s[len(longest):]
		n, _ = child(n, longest)
	}
	return path
}

// index is where part begins in s, or the length of s.
func index(s, part string) int {
	if i := strings.Index(s, part); i >= 0 {
		return i
	}
	return len(s)
}

// find is the line of the text that a message ends with or has in quotes; 1 without any.
func (d *Document) find(msg string) int { return max(1, findIn(d.root, msg)) }

// findPort is find among the ports of the services.
func (d *Document) findPort(msg string) int {
	services := d.at("services")
	if services == nil {
		return 1
	}
	for _, e := range entries(services) {
		if ports, _ := child(e.value, "ports"); ports != nil {
			if line := findIn(ports, msg); line > 0 {
				return line
			}
		}
	}
	return 1
}

// findIn is the line of the first text below n that a message ends with or has in quotes; 0 without any.
func findIn(n *yaml.Node, msg string) int {
	var wanted []string
	if i := strings.LastIndex(msg, ": "); i >= 0 {
		wanted = append(wanted, msg[i+2:])
	}
	for _, m := range inQuotes.FindAllStringSubmatch(msg, -1) {
		wanted = append(wanted, m[1])
	}
	for _, text := range wanted {
		if line := lineOf(n, text); line > 0 {
			return line
		}
	}
	return 0
}

// lineOf is the line of the first scalar that holds a text, or 0.
func lineOf(n *yaml.Node, text string) int {
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, text) {
		return n.Line
	}
	for _, c := range n.Content {
		if line := lineOf(c, text); line > 0 {
			return line
		}
	}
	return 0
}
