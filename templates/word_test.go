package templates

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"flotilla/units"
)

func TestWord(t *testing.T) {
	for in, want := range map[string]string{
		"":                    `""`,
		"--env=A=b":           `--env=A=b`,
		"a b":                 `"a b"`,
		"%n":                  `%%n`,
		"$HOME":               `$$HOME`,
		"${HOME} $":           `"$${HOME} $$"`,
		`say "hi"`:            `"say \"hi\""`,
		`C:\dir`:              `"C:\\dir"`,
		"it's":                `"it's"`,
		";":                   `";"`,
		"#x":                  `"#x"`,
		"-x":                  `-x`,
		"a\nExecStop=/bin/rm": `"a\nExecStop=/bin/rm"`,
		"a\r\n\tb\x01\x7f":    `"a\x0d\n\tb\x01\x7f"`,
		"über":                `"über"`,
		"\u2028\u00a0":        `"\xe2\x80\xa8\xc2\xa0"`,
		"\xff":                `"\xff"`,
		"@-:+!|":              `@-:+!|`,
	} {
		if got := Word(in).String(); got != want {
			t.Errorf("Word(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"web": "web", "50%": "50%%", "a\nb": "a?b", `end\`: "end/", "\x00\u2028": "??", "über": "über",
	} {
		if got := Text(in).String(); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzWord: whatever arguments a command has, they come back from the unit file as they were, and
// nothing else is in it. Reading is done by units.Parse and, for the words of the line, by argv
// below, which follows systemd.service(5).
func FuzzWord(f *testing.F) {
	for _, s := range []string{"", "a b", "%n $HOME", "x\n[Service]\nExecStart=/bin/false", `\`, `"`, "'", "; /bin/rm", "\\\n#", "\u2028", "\xff\xfe", "${A}$$", "-x", "@a", `\x41\n`} {
		f.Add(s, "tail")
		f.Add("head", s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, s := range []string{a, b} {
			if msg, _ := wordFault(s); msg != "" {
				return // refused: there is nothing to compare
			}
		}
		text := fmt.Sprintf("[Service]\nExecStart=/bin/echo %s \\\n    %s\nRestart=no\n", Word(a), Word(b))
		file, err := units.Parse("web@.service", []byte(text))
		if err != nil {
			t.Fatalf("Parse(%q) = %v", text, err)
		}
		if len(file.Options) != 2 || file.Options[1].Value != "no" {
			t.Fatalf("%q holds %v, want two options", text, file.Options)
		}
		got, err := argv(file.Options[0].Value)
		if want := []string{"/bin/echo", a, b}; err != nil || !slices.Equal(got, want) {
			t.Errorf("argv(%q) = %q, %v, want %q", file.Options[0].Value, got, err, want)
		}
	})
}

// argv is what systemd executes for the value of an Exec option, "one ; two" refused: words and
// escapes (extract_first_word with EXTRACT_UNQUOTE and EXTRACT_CUNESCAPE), then specifiers, then
// variables, of which none may be left.
func argv(value string) ([]string, error) {
	var out []string
	for value = strings.TrimLeft(value, " \t\n\r"); value != ""; value = strings.TrimLeft(value, " \t\n\r") {
		if value[0] == ';' && (len(value) == 1 || strings.ContainsRune(" \t", rune(value[1]))) {
			return nil, fmt.Errorf("a second command: %q", value)
		}
		word, rest, err := firstWord(value)
		if err != nil {
			return nil, err
		}
		for _, mark := range []string{"%", "$"} {
			if word, err = halved(word, mark); err != nil {
				return nil, err
			}
		}
		out, value = append(out, word), rest
	}
	return out, nil
}

func firstWord(s string) (word, rest string, err error) {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			n, err := unescape(&b, s[i+1:])
			if err != nil {
				return "", "", err
			}
			i += n
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && strings.IndexByte(" \t\n\r", c) >= 0:
			return b.String(), s[i:], nil
		default:
			b.WriteByte(c)
		}
	}
	if quote != 0 {
		return "", "", fmt.Errorf("a quote is open: %q", s)
	}
	return b.String(), "", nil
}

// unescape reads what follows a backslash and returns its length.
func unescape(b *strings.Builder, s string) (int, error) {
	if s == "" {
		return 0, fmt.Errorf("a backslash at the end")
	}
	if i := strings.IndexByte(`abfnrtv\"'s`, s[0]); i >= 0 {
		b.WriteByte("\a\b\f\n\r\t\v\\\"' "[i])
		return 1, nil
	}
	if s[0] != 'x' || len(s) < 3 {
		return 0, fmt.Errorf("unknown escape %q", s)
	}
	n, err := strconv.ParseUint(s[1:3], 16, 8)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("escape %q: %w", s[:3], err)
	}
	b.WriteByte(byte(n))
	return 3, nil
}

// halved takes doubled marks for single ones; a single one would be a specifier or a variable.
func halved(s, mark string) (string, error) {
	parts := strings.Split(s, mark+mark)
	for _, p := range parts {
		if strings.Contains(p, mark) {
			return "", fmt.Errorf("a single %s in %q", mark, s)
		}
	}
	return strings.Join(parts, mark), nil
}

// TestWordsVerify has systemd's own parser read words, where it is at hand: it finds no fault in them,
// and one in a word that is not quoted.
func TestWordsVerify(t *testing.T) {
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here: install the package systemd")
	}
	good := ""
	for _, s := range []string{"", "a b", "%Z", "$HOME ${X}", "x\n[Service]", `\`, `"`, "'", ";", "#", "\u2028", "\x01", "über", "@-:+!|"} {
		good += " " + Word(s).String()
	}
	for words, want := range map[string]bool{good: true, ` "a`: false, ` \q`: false} {
		file := filepath.Join(t.TempDir(), "words.service")
		if err := os.WriteFile(file, []byte("[Service]\nExecStart=/bin/echo"+words+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), program, "verify", "--man=no", file).CombinedOutput()
		if got := err == nil && !strings.Contains(string(out), file); got != want {
			t.Errorf("systemd-analyze verify of words%s is content: %v, want %v: %v\n%s", words, got, want, err, out)
		}
	}
}
