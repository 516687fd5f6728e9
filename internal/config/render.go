package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// lineWidth is the width at which comments wrap, in characters.
const lineWidth = 96

const header = `# Configuration of holdfast, with every key at its default.
# Precedence: defaults < this file < environment (HOLDFAST_SECTION__KEY) < flags.
# Path: --config, $HOLDFAST_CONFIG, or the first that exists of /etc/holdfast/config.toml and
# $XDG_CONFIG_HOME/holdfast/config.toml.
# Durations are written "22h" or "1m30s", sizes "512MiB" or "1GB".
# SIGHUP (systemctl reload) applies the keys marked "Reloads."; the others need a restart.
`

// Render returns the default configuration as a commented TOML file.
func Render() string {
	c := Default()
	var b strings.Builder
	b.WriteString(header)
	walk(&b, true, func(k Key) {
		b.WriteByte('\n')
		text := k.Doc
		if k.Reload {
			text += " Reloads."
		}
		comment(&b, text)
		if k.Example != "" {
			fmt.Fprintf(&b, "# Example: %s = %s\n", k.Name, k.Example)
		}
		fmt.Fprintf(&b, "%s = %s\n", k.Name, k.Value(&c))
	})
	return b.String()
}

// Print returns the effective configuration as TOML. With origin set, comments give the
// origin of each key.
func (l *Loaded) Print(origin bool) string {
	var b strings.Builder
	walk(&b, false, func(k Key) {
		line := fmt.Sprintf("%s = %s", k.Name, k.Value(&l.Config))
		if origin {
			line += "  # " + l.Origin(k.Path()).String()
		}
		b.WriteString(line + "\n")
	})
	return strings.TrimPrefix(b.String(), "\n")
}

// walk writes the section headings, with comments if docs is set, and calls write for
// each key.
func walk(b *strings.Builder, docs bool, write func(Key)) {
	section := ""
	for _, k := range keys {
		if k.Section != section {
			section = k.Section
			b.WriteByte('\n')
			if docs {
				comment(b, k.SectionDoc())
			}
			fmt.Fprintf(b, "[%s]\n", section)
		}
		write(k)
	}
}

// comment writes text as wrapped comment lines.
func comment(b *strings.Builder, text string) {
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > lineWidth {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}

func tomlValue(v reflect.Value) string {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, _ := m.MarshalText() // those of Duration and Size cannot fail
		return quote(string(text))
	}
	switch v.Kind() {
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Slice:
		return tomlList(v)
	}
	return quote(v.String())
}

func tomlList(v reflect.Value) string {
	items := make([]string, v.Len())
	for i := range items {
		items[i] = quote(v.Index(i).String())
	}
	if one := "[" + strings.Join(items, ", ") + "]"; len(one) < lineWidth {
		return one
	}
	return "[\n  " + strings.Join(items, ",\n  ") + ",\n]"
}

// quote writes a TOML basic string: Go escapes that TOML does not have become \u.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
