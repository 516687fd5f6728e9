package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// envPrefix is the prefix of the environment variables that set keys:
// HOLDFAST_SECTION__KEY. Lists are comma separated.
const envPrefix = "HOLDFAST_"

// Key describes one setting.
type Key struct {
	Section string // "network"; empty for config_version
	Name    string // "listen"
	Doc     string
	Example string // a value as TOML writes it; empty where the default shows the format
	Unit    string // what the value is: "duration", "host:port"
	Reload  bool   // SIGHUP applies a change

	index []int // of the field in Config
}

// Path returns section.name, the form used in errors and origins.
func (k Key) Path() string {
	if k.Section == "" {
		return k.Name
	}
	return k.Section + "." + k.Name
}

// SectionDoc returns the description of the key's section.
func (k Key) SectionDoc() string {
	return reflect.TypeFor[Config]().Field(k.index[0]).Tag.Get("doc")
}

// Env returns the name of the environment variable that sets the key; It returns "" for
// config_version, which belongs to the file.
func (k Key) Env() string {
	if k.Section == "" {
		return ""
	}
	return envPrefix + strings.ToUpper(k.Section) + "__" + strings.ToUpper(k.Name)
}

// keys are in the order of the struct, which is also the order of the file.
var keys = describe()

// Keys returns every setting in the order of the file.
func Keys() []Key { return append([]Key(nil), keys...) }

func describe() []Key {
	var ks []Key
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type.Kind() != reflect.Struct {
			ks = append(ks, newKey("", f, []int{i}))
			continue
		}
		for j := range f.Type.NumField() {
			ks = append(ks, newKey(f.Tag.Get("toml"), f.Type.Field(j), []int{i, j}))
		}
	}
	return ks
}

func newKey(section string, f reflect.StructField, index []int) Key {
	unit := f.Tag.Get("unit")
	if unit == "" {
		unit = unitOf(f.Type)
	}
	return Key{
		Section: section, Name: f.Tag.Get("toml"), Doc: f.Tag.Get("doc"),
		Example: f.Tag.Get("example"), Unit: unit, Reload: f.Tag.Get("reload") == "yes", index: index,
	}
}

func unitOf(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Duration]():
		return "duration"
	case reflect.TypeFor[Size]():
		return "size"
	case reflect.TypeFor[bool]():
		return "true or false"
	case reflect.TypeFor[int]():
		return "number"
	}
	return "text"
}

// syntax returns the TOML syntax of the key's values. It returns "" if the key's type has
// its own error for bad values.
func (k Key) syntax() (kind unstable.Kind, text string) {
	var c Config
	v := k.field(&c)
	if _, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return unstable.Invalid, ""
	}
	switch v.Kind() {
	case reflect.Bool:
		return unstable.Bool, "true or false, without quotes"
	case reflect.Int:
		return unstable.Integer, "a whole number, without quotes"
	case reflect.Slice:
		return unstable.Array, `a list of texts in quotes: ["...", "..."]`
	}
	return unstable.String, "a text in quotes"
}

func keyByPath(path string) (Key, bool) {
	for _, k := range keys {
		if k.Path() == path {
			return k, true
		}
	}
	return Key{}, false
}

func keyByEnv(name string) (Key, bool) {
	for _, k := range keys {
		if name != "" && k.Env() == name {
			return k, true
		}
	}
	return Key{}, false
}

// meantEnv returns the variable that name would be with double underscores, or "" if
// there is none.
func meantEnv(name string) string {
	for _, k := range keys {
		if env := k.Env(); env != "" && strings.ReplaceAll(env, "__", "_") == name {
			return env
		}
	}
	return ""
}

func (k Key) field(c *Config) reflect.Value { return reflect.ValueOf(c).Elem().FieldByIndex(k.index) }

// Value returns the key's value as TOML writes it.
func (k Key) Value(c *Config) string { return tomlValue(k.field(c)) }

// Raw returns the key's value as encoding/json writes it.
func (k Key) Raw(c *Config) any { return k.field(c).Interface() }

// set parses text into the key: the form of flags and the environment.
func (k Key) set(c *Config, text string) *ValueError {
	switch field := k.field(c).Addr().Interface().(type) {
	case *Duration:
		return field.parse(text)
	case *Size:
		return field.parse(text)
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return &ValueError{text, "is neither true nor false", ""}
		}
		*field = b
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return &ValueError{text, "is not a number", ""}
		}
		*field = n
	case *[]string:
		*field = splitList(text)
	case *string:
		*field = text
	default:
		panic(fmt.Sprintf("config: %s is a %T, which text cannot set", k.Path(), field))
	}
	return nil
}

// splitList parses a comma-separated list. It drops empty items, so that an empty
// variable is an empty list.
func splitList(text string) []string {
	list := []string{}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}
