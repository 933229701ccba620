package units

import (
	"cmp"
	"strconv"
	"strings"
	"unicode"
)

// expression reads one value of MachineMetadata= or Prefer=: key=value, key!=value, key>=N and its like,
// key in (a,b), key notin (a,b), key, !key. eq is true for the first. When it cannot, hint says how to mend it.
func expression(text string) (r Requirement, eq bool, hint string) {
	if key, ok := strings.CutPrefix(text, "!"); ok {
		if !labelKey(key) {
			return r, false, cmp.Or(keyHint(key), expressionHint(text))
		}
		return Requirement{Key: key, Op: NotExists}, false, ""
	}
	end := strings.IndexFunc(text, func(c rune) bool { return c > unicode.MaxASCII || !labelByte(byte(c)) })
	if end < 0 {
		end = len(text)
	}
	r.Key = text[:end]
	if !labelKey(r.Key) {
		return r, false, cmp.Or(keyHint(r.Key), expressionHint(text))
	}
	rest := strings.TrimLeft(text[end:], whitespace)
	if rest == "" {
		r.Op = Exists
		return r, false, ""
	}
	sign, op := operator(rest)
	value := rest[len(sign):]
	switch sign {
	case "":
		return r, false, expressionHint(text)
	case "=":
		if CheckLabel(r.Key, value) != nil || rest != text[end:] {
			return r, true, expressionHint(text)
		}
		r.Values = []string{value}
		return r, true, ""
	}
	r.Op = op
	r.Values, hint = operands(sign, strings.Trim(value, whitespace))
	return r, false, hint
}

// operator is the comparison that text begins with, as it is written there; "" for none.
func operator(text string) (sign string, op Operator) {
	for _, o := range []struct {
		sign string
		op   Operator
	}{{"!=", NotIn}, {">=", GreaterEqual}, {"<=", LessEqual}, {">", Greater}, {"<", Less}, {"=", In}, {"notin", NotIn}, {"in", In}} {
		if rest, ok := strings.CutPrefix(text, o.sign); ok {
			if word := o.sign[len(o.sign)-1] == 'n'; word && rest != "" && rest[0] != '(' && rest[0] != ' ' && rest[0] != '\t' {
				continue
			}
			return o.sign, o.op
		}
	}
	return "", In
}

// operands reads what stands behind any operator but =.
func operands(sign, text string) (values []string, hint string) {
	switch sign {
	case "!=":
		if hint = valueHint(text); hint != "" {
			return nil, hint
		}
		return []string{text}, ""
	case "in", "notin":
		return valueList(sign, text)
	}
	if _, ok := number(text); !ok {
		return nil, "write a plain number behind " + sign + ", such as 4 or 2.5"
	}
	return []string{text}, ""
}

// valueList reads (a,b).
func valueList(word, text string) (values []string, hint string) {
	body, open := strings.CutPrefix(text, "(")
	body, closed := strings.CutSuffix(body, ")")
	if !open || !closed {
		return nil, "write key " + word + " (a,b)"
	}
	for v := range strings.SplitSeq(body, ",") {
		v = strings.Trim(v, whitespace)
		switch {
		case v == "":
			return nil, "write at least one value between the parentheses, and one between two commas"
		case strings.ContainsAny(v, " \t()"):
			return nil, "put a comma between two values; one with blanks or parentheses goes with key=value"
		}
		if hint = valueHint(v); hint != "" {
			return nil, hint
		}
		values = append(values, v)
	}
	return sortedSet(values), ""
}

// valueHint says why no label has this value.
func valueHint(value string) string {
	switch {
	case CheckLabel("key", value) == nil:
		return ""
	case value == "":
		return "write a value behind !=, or !key for hosts without the label"
	case strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "remove the character that cannot be seen"
	case strings.Contains(value, "="):
		return `a value holds no =; several stand as "a!=1" "b!=2"`
	}
	return "a value has 1024 bytes at most"
}

// keyHint says what is wrong with something that looks like a key.
func keyHint(key string) string {
	switch {
	case strings.HasSuffix(key, "-"):
		return "the key of a label does not end in -"
	case len(key) > maxLabelKey:
		return "the key of a label has 128 bytes at most"
	}
	return ""
}

// expressionHint is what the writer of something malformed most likely meant.
func expressionHint(value string) string {
	lower := strings.ToLower(value)
	switch {
	case strings.HasPrefix(value, "="):
		return "write the key of a label before the ="
	case strings.HasSuffix(value, "="), strings.HasSuffix(value, "!"):
		return "write a value behind it, or the key alone for any value"
	case strings.Contains(value, "=="):
		return "write one ="
	case strings.Contains(value, "!~"):
		return "no patterns here; write key notin (a,b)"
	case strings.Contains(lower, " not in "), strings.Contains(lower, " not in("):
		return "write notin in one word"
	case strings.Contains(lower, " in ") && !strings.Contains(value, " in "), strings.Contains(lower, " notin ") && !strings.Contains(value, " notin "):
		return "write in and notin in small letters"
	case strings.Count(value, "=") > 1:
		return `write key=value, and several as "a=1" "b=2"`
	case strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "remove the character that cannot be seen"
	case strings.Contains(value, " ="), strings.Contains(value, "= "):
		return "remove the blanks around the ="
	case strings.HasPrefix(value, "!"):
		return "write !key for hosts without the label, key!=value for another value"
	}
	return "write key=value, key!=value, key>=4, key in (a,b), key notin (a,b), key or !key"
}

// maxNumber is how many bytes a number in a comparison may have.
const maxNumber = 18

// number reads a plain decimal number: -12, 4, 2.5.
func number(text string) (float64, bool) {
	whole, part, dot := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	if len(text) > maxNumber || strings.Trim(whole+part, "0123456789") != "" || whole == "" || dot && part == "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}

// compareNumbers orders two plain decimal numbers, exactly when both are whole.
func compareNumbers(a, b string) (order int, ok bool) {
	x, okA := number(a)
	y, okB := number(b)
	if !okA || !okB {
		return 0, false
	}
	i, errI := strconv.ParseInt(a, 10, 64)
	j, errJ := strconv.ParseInt(b, 10, 64)
	if errI == nil && errJ == nil {
		return cmp.Compare(i, j), true
	}
	return cmp.Compare(x, y), true
}
