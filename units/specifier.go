package units

import "strings"

// templateInstance stands for %i while the options of a template are checked.
const templateInstance = "instance"

// specifiers replaces %n %N %p %i and %% in a placement option of unit n. When
// it cannot, it says why; in is where, for that message.
func specifiers(value, in string, n Name) (expanded, msg, hint string) {
	if strings.IndexByte(value, '%') < 0 {
		return value, "", ""
	}
	if n.IsTemplate() {
		n = n.With(templateInstance)
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(value, "%")
		b.WriteString(before)
		if !found {
			return b.String(), "", ""
		}
		if after == "" {
			return "", "% stands alone at the end of " + in, "write %% for a percent sign"
		}
		switch after[0] {
		case 'n':
			b.WriteString(string(n))
		case 'N':
			b.WriteString(n.stem())
		case 'p':
			b.WriteString(n.Prefix())
		case 'i':
			if !n.IsInstance() {
				return "", "%i has no value in " + in + " because " + printable(string(n)) + " is not an instance",
					"name the file " + printable(n.Prefix()) + "@." + n.Type() + " and start an instance of it"
			}
			b.WriteString(n.Instance())
		case '%':
			b.WriteByte('%')
		default:
			return "", "unknown specifier " + quoted("%"+runeAt(after, 0)) + " in " + in, "placement options know %n %N %p %i and %%"
		}
		value = after[1:]
	}
}

// words splits the value of a placement option that begins with a double quote
// into its quoted words; any other value is one word. ok is false when the quotes do not
// pair up, or when something stands between or around them.
func words(value string) (list []string, ok bool) {
	if strings.IndexByte(value, '"') < 0 {
		return []string{value}, true
	}
	for value != "" {
		if value[0] != '"' {
			return nil, false
		}
		word, rest, closed := strings.Cut(value[1:], `"`)
		value = strings.TrimLeft(rest, whitespace)
		if !closed || (rest != "" && value == rest) {
			return nil, false
		}
		list = append(list, word)
	}
	return list, true
}
