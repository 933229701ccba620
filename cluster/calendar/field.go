package calendar

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// second is the unit in which seconds are counted: microseconds.
const second = 1_000_000

// span is one value of a field, a range of values, or a value and all that follow it in steps.
type span struct {
	first int64
	last  int64 // of a range; -1 = not a range
	step  int64 // between values; 0 = a single value, or a range with every value
}

// field is one part of a date or time: its spans in order. A field without spans holds every value.
type field []span

// short is the span as short as it can be said.
func (s span) short(unit int64) span {
	if s.last < s.first {
		return s
	}
	s.last -= (s.last - s.first) % cmp.Or(s.step, unit)
	switch {
	case s.last == s.first:
		return span{first: s.first, last: -1}
	case s.step == unit:
		s.step = 0
	}
	return s
}

// sorted is the field in its normal form: spans in order, each once.
func (f field) sorted() field {
	out := slices.Clone(f)
	slices.SortFunc(out, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.last, b.last), cmp.Compare(a.step, b.step))
	})
	return slices.Compact(out)
}

// next is the least value of the field that is v or more and at most limit. Values are multiples of
// unit apart where the field does not say more.
func (f field) next(v, limit, unit int64) (int64, bool) {
	if len(f) == 0 {
		v = roundUp(v, unit)
		return v, v <= limit
	}
	least, found := int64(0), false
	for _, s := range f {
		n, ok := s.next(v, limit, unit)
		if ok && (!found || n < least) {
			least, found = n, true
		}
	}
	return least, found
}

func (s span) next(v, limit, unit int64) (int64, bool) {
	if v <= s.first {
		return s.first, s.first <= limit
	}
	step := s.step
	switch {
	case s.last >= 0:
		limit = min(limit, s.last)
		step = cmp.Or(step, unit)
	case step == 0:
		return 0, false
	}
	n := s.first + roundUp(v-s.first, step)
	return n, n <= limit
}

func roundUp(v, unit int64) int64 { return (v + unit - 1) / unit * unit }

// back says whether the field, read from the month's end, holds a day; 1 is the last day.
func (f field) back(v int64) bool {
	if len(f) == 0 {
		return true
	}
	for _, s := range f {
		switch {
		case v == s.first:
			return true
		case s.last >= 0 && v > s.first && v <= s.last && (v-s.first)%cmp.Or(s.step, 1) == 0:
			return true
		case s.last < 0 && s.step > 0 && v < s.first && (s.first-v)%s.step == 0:
			return true
		}
	}
	return false
}

// text is the field as systemd prints it, with values of so many digits at least.
func (f field) text(digits int, unit int64) string {
	if len(f) == 0 || unit == second && slices.Contains(f, span{first: 0, last: -1, step: second}) {
		return "*"
	}
	var words []string
	for _, s := range f {
		w := number(s.first, digits, unit)
		if s.last >= 0 {
			w += ".." + number(s.last, digits, unit)
		}
		if s.step > 0 {
			w += "/" + number(s.step, 1, unit)
		}
		words = append(words, w)
	}
	return strings.Join(words, ",")
}

func number(v int64, digits int, unit int64) string {
	w := strconv.FormatInt(v/unit, 10)
	w = strings.Repeat("0", max(0, digits-len(w))) + w
	if rest := v % unit; rest > 0 {
		w += "." + strconv.FormatInt(second+rest, 10)[1:]
	}
	return w
}
