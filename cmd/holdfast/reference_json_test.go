package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/daemon"
	"github.com/holdfast-dht/holdfast/internal/rpcbench"
	"github.com/holdfast-dht/holdfast/internal/workload"
)

// answer is what a command prints with --json.
type answer struct {
	fields string // names that no type has, separated by spaces
	of     []any  // the types of the other fields
	lines  bool   // one object a line
}

// answers are the commands that print JSON.
var answers = map[string]answer{
	"holdfast id":                     {of: []any{api.Identity{}}},
	"holdfast config print":           {fields: "key value origin unit reloads env", lines: true},
	"holdfast config default":         {fields: "key value origin unit reloads env", lines: true},
	"holdfast config validate":        {fields: "valid file"},
	"holdfast put":                    {fields: "key", of: []any{api.Stored{}}},
	"holdfast get":                    {fields: "key", of: []any{api.Value{}}},
	"holdfast unpublish":              {fields: "key"},
	"holdfast provide":                {fields: "key keys new known unannounced", of: []any{api.Stored{}}, lines: true},
	"holdfast unprovide":              {fields: "key keys not_provided", lines: true},
	"holdfast provides":               {of: []any{api.Published{}}, lines: true},
	"holdfast find-providers":         {of: []any{api.Peer{}}, lines: true},
	"holdfast find-peer":              {of: []any{api.Peer{}}},
	"holdfast closest":                {of: []any{api.Peer{}}, lines: true},
	"holdfast ping":                   {of: []any{api.Pong{}}, lines: true},
	"holdfast explain get":            {of: []any{api.Trace{}}},
	"holdfast explain find-providers": {of: []any{api.Trace{}}},
	"holdfast explain find-peer":      {of: []any{api.Trace{}}},
	"holdfast explain closest":        {of: []any{api.Trace{}}},
	"holdfast explain show":           {of: []any{api.Trace{}}},
	"holdfast explain list":           {of: []any{api.Trace{}}, lines: true},
	"holdfast status":                 {of: []any{api.Status{}}},
	"holdfast top":                    {of: []any{api.Overview{}}, lines: true},
	"holdfast health":                 {fields: "healthy ready warnings"},
	"holdfast peers":                  {of: []any{api.PeerInfo{}, api.PeerUsage{}}, lines: true},
	"holdfast table":                  {of: []any{api.TablePeer{}, bucket{}}, lines: true},
	"holdfast republish status":       {of: []any{api.RepublishStatus{}}},
	"holdfast republish now":          {fields: "started keys succeeded failed"},
	"holdfast log level":              {fields: "default daemon node rpc storage api web routing libp2p"},
	"holdfast debug bundle":           {fields: "file bytes"},
	"holdfast check":                  {of: []any{daemon.StoreReport{}}},
	"holdfast compact":                {fields: "data_dir before_bytes after_bytes"},
	"holdfast backup":                 {fields: "file bytes"},
	"holdfast restore":                {fields: "restored data_dir old old_files identity"},
	"holdfast bench rpc":              {of: []any{rpcbench.Result{}}, lines: true},
	"holdfast bench lookup":           {of: []any{rpcbench.LookupResult{}}},
	"holdfast bench store":            {of: []any{workload.Report{}}},
	"holdfast version":                {of: []any{daemon.Build{}}},
}

// withoutJSON are the commands that run or serve something, or print text for a shell.
var withoutJSON = []string{
	"holdfast serve", "holdfast demo", "holdfast help", "holdfast completion bash", "holdfast completion fish", "holdfast completion powershell", "holdfast completion zsh",
	"holdfast sim join", "holdfast sim run", // the options and figures of a simulation, see docs/SIMULATOR.md
}

// text describes the answer of a command.
func (a *answer) text() string {
	var parts []string
	for _, name := range strings.Fields(a.fields) {
		parts = append(parts, "`"+name+"`")
	}
	for _, of := range a.of {
		parts = append(parts, "the fields of "+linkTo(typeName(of)))
	}
	what := "JSON"
	if a.lines {
		what = "JSON, one object a line"
	}
	return what + ": " + strings.Join(parts, ", ") + "."
}

// headings are the names of types whose own name says too little outside their package.
var headings = map[reflect.Type]string{
	reflect.TypeFor[bucket]():          "TableBucket",
	reflect.TypeFor[rpcbench.Result](): "RPCResult",
	reflect.TypeFor[workload.Report](): "StoreResult",
	reflect.TypeFor[workload.Config](): "StoreConfig",
	reflect.TypeFor[workload.Limits](): "StoreLimits",
	reflect.TypeFor[workload.Row]():    "StoreRow",
}

// typeName returns the heading of a type.
func typeName(of any) string {
	t := reflect.TypeOf(of)
	return cmp.Or(headings[t], t.Name())
}

// answerTypes returns the types of the answers, each followed by those of its fields.
func answerTypes() (all []any) {
	var add func(t reflect.Type)
	add = func(t reflect.Type) {
		for t.Kind() == reflect.Slice || t.Kind() == reflect.Map || t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		of := reflect.Zero(t).Interface()
		if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() || slices.ContainsFunc(all, func(o any) bool { return reflect.TypeOf(o) == t }) {
			return
		}
		all = append(all, of)
		for i := range t.NumField() {
			add(t.Field(i).Type)
		}
	}
	root := (&app{}).root()
	for _, cmd := range shown(root) {
		for _, of := range answers[cmd.CommandPath()].of {
			add(reflect.TypeOf(of))
		}
	}
	return all
}

// typeSection writes the fields of a type, with the comments of its source.
func typeSection(t *testing.T, b *strings.Builder, of any) {
	typ := reflect.TypeOf(of)
	require.NotContains(t, b.String(), "### "+typeName(of)+"\n")
	fmt.Fprintf(b, "### %s\n\n| field | type | meaning |\n|---|---|---|\n", typeName(of))
	writeFields(t, b, typ)
	b.WriteString("\n")
}

// writeFields writes the fields of a type, and those of the types it embeds, as
// encoding/json does.
func writeFields(t *testing.T, b *strings.Builder, typ reflect.Type) {
	comments := fieldComments(t, typ)
	for i := range typ.NumField() {
		f := typ.Field(i)
		if embedded(f) {
			writeFields(t, b, f.Type)
			continue
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", jsonName(f), jsonType(f.Type), inText(comments[f.Name]))
	}
}

func embedded(f reflect.StructField) bool { return f.Anonymous && f.Tag.Get("json") == "" }

// fieldNames returns the names of the fields that writeFields writes.
func fieldNames(typ reflect.Type) (all []string) {
	for i := range typ.NumField() {
		if f := typ.Field(i); embedded(f) {
			all = append(all, fieldNames(f.Type)...)
		} else {
			all = append(all, jsonName(f))
		}
	}
	return all
}

// jsonName returns the name of a field in JSON.
func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "" {
		return f.Name
	}
	return name
}

// jsonType returns the JSON type of a value, in words.
func jsonType(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "time"
	case t == reflect.TypeFor[[]byte]():
		return "base64"
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Slice:
		return "list of " + jsonType(t.Elem())
	case t.Kind() == reflect.Map:
		return "object of " + jsonType(t.Elem())
	case t.Kind() == reflect.Pointer:
		return jsonType(t.Elem())
	case t.Kind() == reflect.Struct:
		return linkTo(typeName(reflect.Zero(t).Interface()))
	}
	return "number"
}

// fieldComments returns the comment of each field of a type, in one line.
func fieldComments(t *testing.T, typ reflect.Type) map[string]string {
	t.Helper()
	dir := "."
	if rest, ok := strings.CutPrefix(typ.PkgPath(), "github.com/holdfast-dht/holdfast/"); ok && !strings.HasPrefix(rest, "cmd/") {
		dir = filepath.Join("../..", rest)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	comments := map[string]string{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != typ.Name() {
				return true
			}
			for _, f := range spec.Type.(*ast.StructType).Fields.List {
				for _, name := range f.Names {
					text := strings.Join(strings.Fields(f.Doc.Text()+f.Comment.Text()), " ")
					text = strings.TrimPrefix(strings.TrimPrefix(text, name.Name+" is "), name.Name+" are ")
					comments[name.Name] = inJSON(typ, text)
				}
			}
			return false
		})
	}
	require.NotEmpty(t, comments, typ)
	return comments
}

// goName matches the names of fields that are not words of English.
var goName = regexp.MustCompile(`\b[A-Z]\w*[A-Z0-9]\w*\b`)

// inJSON replaces the names that a type's fields have in Go by those that they have in JSON.
func inJSON(typ reflect.Type, comment string) string {
	return goName.ReplaceAllStringFunc(comment, func(name string) string {
		if f, ok := typ.FieldByName(name); ok {
			return jsonName(f)
		}
		return name
	})
}

// names returns the fields of an answer.
func (a *answer) names() []string {
	all := strings.Fields(a.fields)
	for _, of := range a.of {
		all = append(all, fieldNames(reflect.TypeOf(of))...)
	}
	return all
}

// Each command prints only fields that the reference lists.
func TestReferenceHasEveryField(t *testing.T) {
	for path, printed := range printedObjects(t) {
		a := answers[path]
		for name := range printed {
			require.Contains(t, a.names(), name, path)
		}
	}
}

// printedObjects runs the commands that answer at once with --json. It returns the fields
// that each command printed.
func printedObjects(t *testing.T) map[string]map[string]any {
	b := content()
	b.table, b.peers = []api.TablePeer{{PeerID: somePeer}}, []api.PeerInfo{{PeerID: somePeer}}
	b.usage, b.published = []api.PeerUsage{{PeerID: somePeer}}, []api.Published{{Key: []byte("k")}}
	s := shellWith(t, b)
	lines := []string{"version", "config default", "config print", "config validate", "id --generate"}
	for _, q := range answeredAtOnce() {
		if q.line != "debug bundle -" {
			lines = append(lines, q.line+" --force --api "+s.socket)
		}
	}
	root, all := (&app{}).root(), map[string]map[string]any{}
	for _, line := range lines {
		cmd, _, err := root.Find(strings.Fields(line))
		require.NoError(t, err)
		if cmd.Flags().Lookup("force") == nil {
			line = strings.Replace(line, " --force", "", 1)
		}
		code, stdout, stderr := s.runIn(t.Context(), strings.Fields(line+" --json")...)
		require.Zero(t, code, "%s: %s", line, stderr)
		require.NotEmpty(t, stdout, line)
		fields := all[cmd.CommandPath()]
		for printed := range strings.Lines(stdout) {
			require.NoError(t, json.Unmarshal([]byte(printed), &fields), line)
		}
		all[cmd.CommandPath()] = fields
	}
	return all
}

// The reference lists the JSON of every command that has any.
func TestReferenceHasEveryCommand(t *testing.T) {
	listed := map[string]bool{}
	for _, cmd := range shown((&app{}).root()) {
		path := cmd.CommandPath()
		_, has := answers[path]
		if cmd.HasSubCommands() {
			require.False(t, has, path)
			continue
		}
		require.NotEqual(t, has, slices.Contains(withoutJSON, path), path)
		listed[path] = true
	}
	for path := range answers {
		require.True(t, listed[path], path)
	}
	require.Len(t, listed, len(answers)+len(withoutJSON))
}
