package units

import (
	"math"
	"strconv"
	"strings"
)

const (
	maxCount  = 100_000 // of anything that is counted
	maxCores  = 100_000
	minMemory = 64 << 10 // fewer bytes hold no process: a suffix was forgotten
)

// count reads an option that is a number of things.
func (p *placement) count(opt option) int {
	result := 0
	for _, s := range p.set[opt] {
		n, err := strconv.Atoi(s.value)
		switch {
		case err != nil || !digits(s.value):
			p.add(s.line, "write a number such as 2", "%s=%s is not a number", currentNames()[opt], printable(s.value))
		case n < 1 || n > maxCount:
			p.add(s.line, "write 1 or more, or remove the option", "%s=%s is not between 1 and %d", currentNames()[opt], s.value, maxCount)
		default:
			result = n
		}
	}
	return result
}

// maxUnavailable reads MaxUnavailable=N or N%.
func (p *placement) maxUnavailable() Amount {
	var result Amount
	for _, s := range p.set[optMaxUnavailable] {
		text, percent := strings.CutSuffix(s.value, "%")
		most := maxCount
		if percent {
			most = 100
		}
		n, err := strconv.Atoi(text)
		switch {
		case err != nil || !digits(text):
			p.add(s.line, "write a number such as 2, or a share such as 25%", "MaxUnavailable=%s is not a number", printable(s.value))
		case n < 1:
			p.add(s.line, "write 1 or more", "MaxUnavailable=%s would let nothing be updated", s.value)
		case n > most:
			p.add(s.line, "write a number such as 2, or a share such as 25%", "MaxUnavailable=%s is more than all", s.value)
		default:
			result = Amount{N: n, Percent: percent}
		}
	}
	return result
}

// memory is how many bytes the unit reserves: Memory= or else MemoryMax= of [Service].
func (p *placement) memory() int64 {
	if len(p.set[optMemory]) == 0 {
		return p.memoryMax()
	}
	var result int64
	for _, s := range p.set[optMemory] {
		n, ok := size(s.value)
		switch {
		case strings.HasSuffix(s.value, "%"):
			p.add(s.line, "hosts differ: write a size such as 512M", "Memory=%s is a share of a memory, not a size", printable(s.value))
		case s.value == "infinity":
			p.add(s.line, "remove it to reserve nothing", "Memory=infinity fits on no host")
		case !ok:
			p.add(s.line, memoryHint(s.value), "Memory=%s is not a size", printable(s.value))
		case n == 0:
			p.add(s.line, "remove it to reserve nothing", "Memory=%s reserves nothing", s.value)
		case n < minMemory:
			p.add(s.line, "did you mean "+s.value+"M?", "Memory=%s is %d bytes, too little for any process", printable(s.value), n)
		default:
			result = n
		}
	}
	return result
}

// memoryMax is what MemoryMax= allows the service, 0 when that is no number of bytes.
func (p *placement) memoryMax() int64 {
	o, _ := p.file.last("Service", "MemoryMax")
	n, _ := size(o.Value)
	if p.file.Name.Type() != "service" {
		return 0
	}
	return n
}

func memoryHint(value string) string {
	number := strings.TrimRight(value, "bBiI")
	if last := len(number) - 1; last > 0 {
		suffix := strings.ToUpper(number[last:])
		if _, ok := size(number[:last] + suffix); ok && strings.Contains("KMGTPE", suffix) {
			return "did you mean " + number[:last] + suffix + "?"
		}
	}
	return "write a size such as 512M or 1.5G; K, M, G and T are powers of 1024"
}

// size reads a number of bytes as systemd does: 512M, 1.5G, 1G 512M.
func size(text string) (int64, bool) {
	const suffixes = "EPTGMKB"
	var total float64
	least := 0 // no suffix may come twice, or after a smaller one
	for rest := strings.TrimLeft(text, whitespace); rest != ""; rest = strings.TrimLeft(rest, whitespace) {
		rest = strings.TrimPrefix(rest, "+")
		end := strings.IndexFunc(rest, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		if end < 0 {
			end = len(rest)
		}
		n, ok := number(strings.TrimSuffix(rest[:end], "."))
		rest = strings.TrimLeft(rest[end:], whitespace)
		power := len(suffixes) - 1
		if rest != "" {
			if power = strings.IndexByte(suffixes, rest[0]); power >= 0 {
				rest = rest[1:]
			}
		}
		if !ok || power < least {
			return 0, false
		}
		least = power + 1
		total += n * math.Pow(1024, float64(len(suffixes)-1-power))
	}
	if least == 0 || total >= math.MaxUint64 {
		return 0, false
	}
	if total >= math.MaxInt64 {
		return math.MaxInt64, true
	}
	return int64(total), true
}

// cpu is how many thousandths of a core the unit reserves: CPU= or else CPUQuota= of [Service].
func (p *placement) cpu() int64 {
	if len(p.set[optCPU]) == 0 {
		return p.cpuQuota()
	}
	var result int64
	for _, s := range p.set[optCPU] {
		n, ok := thousandths(s.value)
		switch {
		case !ok:
			p.add(s.line, cpuHint(s.value), "CPU=%s is not a number of cores", printable(s.value))
		case n == 0:
			p.add(s.line, "remove it to reserve nothing", "CPU=%s reserves nothing", s.value)
		default:
			result = n
		}
	}
	return result
}

func cpuHint(value string) string {
	if share, ok := strings.CutSuffix(value, "%"); ok {
		if n, ok := number(share); ok && n > 0 {
			return "did you mean " + strconv.FormatFloat(n/100, 'f', -1, 64) + "?"
		}
	}
	if m, ok := strings.CutSuffix(value, "m"); ok {
		if n, ok := number(m); ok && n > 0 {
			return "did you mean " + strconv.FormatFloat(n/1000, 'f', -1, 64) + "?"
		}
	}
	return "write cores such as 0.5 or 2, with three digits behind the point at most"
}

// cpuQuota is what CPUQuota= allows the service, in thousandths of a core.
func (p *placement) cpuQuota() int64 {
	o, _ := p.file.last("Service", "CPUQuota")
	n, _ := quota(o.Value)
	if p.file.Name.Type() != "service" {
		return 0
	}
	return n
}

// quota reads a share of one core as systemd does, in thousandths: 50%, 150.5%, 5‰.
func quota(text string) (int64, bool) {
	for _, unit := range []struct {
		sign   string
		per    float64 // thousandths
		digits int     // behind the point, at most
	}{{"%", 10, 2}, {"‰", 1, 1}, {"‱", 0.1, 0}} {
		if share, ok := strings.CutSuffix(text, unit.sign); ok {
			n, ok := number(share)
			_, part, _ := strings.Cut(share, ".")
			if n *= unit.per; !ok || n <= 0 || n > maxCores*1000 || len(part) > unit.digits {
				return 0, false
			}
			return int64(math.Ceil(n)), true
		}
	}
	return 0, false
}

// limits refuses a MemoryMax= or CPUQuota= of a service that systemd would pass over, and that would reserve nothing.
func (v *verifier) limits() {
	if o, ok := v.file.last("Service", "MemoryMax"); ok && o.Value != "infinity" {
		n, ok := size(o.Value)
		share, isShare := quota(o.Value)
		switch {
		case isShare && share <= 1000 || ok && n > 0:
		case strings.HasSuffix(o.Value, "%"):
			v.add(o.Line, "write a share above 0% and up to 100%, or a size such as 512M", "MemoryMax=%s is no share of a memory, and systemd would pass over it", printable(o.Value))
		default:
			v.add(o.Line, memoryHint(o.Value), "MemoryMax=%s is not a size, and systemd would pass over it", printable(o.Value))
		}
	}
	if o, ok := v.file.last("Service", "CPUQuota"); ok && o.Value != "infinity" {
		if _, ok := quota(o.Value); !ok {
			v.add(o.Line, "write a share of one core such as 50%, or 200% for two cores", "CPUQuota=%s is not a share, and systemd would pass over it", printable(o.Value))
		}
	}
}

// thousandths reads a number of cores.
func thousandths(text string) (int64, bool) {
	_, part, _ := strings.Cut(text, ".")
	n, ok := number(text)
	if !ok || n < 0 || n > maxCores || len(part) > 3 {
		return 0, false
	}
	return int64(math.Round(n * 1000)), true
}
