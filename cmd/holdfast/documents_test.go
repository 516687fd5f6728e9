package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/pkg/sim"
)

// roffMacros are the requests and macros that the manual pages use (groff_man(7)).
var roffMacros = map[string]bool{
	"TH": true, "SH": true, "SS": true, "PP": true, "TP": true, "EX": true, "EE": true, "nf": true, "fi": true, "nh": true, "ad": true, "br": true,
}

// roffEscapes are the escapes of the manual pages, each with the text that it prints.
var roffEscapes = strings.NewReplacer(
	`\fB`, "", `\fI`, "", `\fP`, "", `\fR`, "", `\&`, "", `\-`, "-", `\e`, `\`, `\\`, `\`, `\(aq`, "'", `\(ga`, "`", `\(ha`, "^", `\(ti`, "~", `\(bu`, "*",
)

// printed returns the text of a manual page. It fails for macros and escapes that the pages
// do not use, and for blocks and fonts without an end.
func printed(t *testing.T, name, page string) string {
	t.Helper()
	var out strings.Builder
	open := ""
	for i, line := range strings.Split(strings.TrimSuffix(page, "\n"), "\n") {
		where := fmt.Sprintf("%s:%d: %s", name, i+1, line)
		require.False(t, strings.HasPrefix(line, "'"), "%s: an apostrophe begins a request", where)
		if request, ok := strings.CutPrefix(line, "."); ok {
			macro, rest, _ := strings.Cut(request, " ")
			require.True(t, roffMacros[macro], where)
			switch macro {
			case "EX", "nf":
				require.Empty(t, open, where)
				open = macro
			case "EE", "fi":
				require.Equal(t, map[string]string{"EE": "EX", "fi": "nf"}[macro], open, where)
				open = ""
			case "SH", "SS":
				out.WriteString(rest + "\n")
			}
			continue
		}
		text := roffEscapes.Replace(line)
		require.Equal(t, strings.Count(line, `\f`)%2, 0, "%s: a font is not ended", where)
		require.NotRegexp(t, `\\[(*\[fnsu]`, strings.ReplaceAll(text, `\\`, ""), where)
		out.WriteString(text + "\n")
	}
	require.Empty(t, open, name)
	return out.String()
}

// inOrder fails unless the page contains the words of the text in a row.
func inOrder(t *testing.T, page, text, where string) {
	t.Helper()
	words := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	require.Contains(t, words(page), words(text), where)
}

// Each command has a valid manual page, with its whole help text and all its flags.
func TestManualPages(t *testing.T) {
	s := shellOf(t, nil)
	code, _, stderr := s.runIn(t.Context(), "man", "pages")
	require.Zero(t, code, stderr)
	files, err := filepath.Glob("pages/*")
	require.NoError(t, err)
	unseen := map[string]bool{}
	for _, f := range files {
		unseen[filepath.Base(f)] = true
	}
	eachCommand((&app{}).root(), func(cmd *cobra.Command) {
		if cmd.HasParent() && !cmd.IsAvailableCommand() {
			return
		}
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
		require.True(t, unseen[name], name)
		delete(unseen, name)
		data, err := os.ReadFile(filepath.Join("pages", name))
		require.NoError(t, err)
		page := printed(t, name, string(data))
		inOrder(t, page, cmd.Short, name)
		inOrder(t, page, cmd.Example, name)
		if !strings.Contains(name, "completion") { // cobra's own text has Markdown in it
			inOrder(t, page, cmd.Long, name)
		}
		cmd.InheritedFlags()
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				_, usage := pflag.UnquoteUsage(f)
				inOrder(t, page, usage, name+" --"+f.Name)
				require.Contains(t, page, "--"+f.Name, name)
			}
		})
		for _, other := range regexp.MustCompile(`holdfast[a-z-]*\(1\)`).FindAllString(page, -1) {
			require.FileExists(t, filepath.Join("pages", strings.TrimSuffix(other, "(1)")+".1"), name)
		}
	})
	data, err := os.ReadFile("pages/holdfast.toml.5")
	require.NoError(t, err)
	printed(t, "holdfast.toml.5", string(data))
	delete(unseen, "holdfast.toml.5")
	require.Empty(t, unseen)
}

// If manual pages cannot be written, the error names the place.
func TestManualPagesThatCannotBeWritten(t *testing.T) {
	s := shellWith(t, nil)
	for dir, says := range map[string]string{"keys": "not a directory", "keys/man1": "not a directory", "/dev/null/x": "not a directory"} {
		code, _, stderr := s.runIn(t.Context(), "man", dir)
		require.Equal(t, exitFailed, code)
		require.Contains(t, stderr, "holdfast: manual pages: mkdir ", dir)
		require.Contains(t, stderr, says, dir)
	}
	for _, epoch := range []string{"soon", "1.5", "99999999999999999999", " 1"} {
		s.env["SOURCE_DATE_EPOCH"] = epoch
		code, _, stderr := s.runIn(t.Context(), "man", "pages")
		require.Equal(t, exitFailed, code)
		require.Equal(t, fmt.Sprintf("holdfast: SOURCE_DATE_EPOCH %q is not a number of seconds\n", epoch), stderr)
	}
	require.NoDirExists(t, "pages")
}

// shellWords splits a line into commands and words as a shell does, without redirections.
func shellWords(t *testing.T, line string) (commands [][]string) {
	t.Helper()
	var words []string
	word, quote, begun := "", rune(0), false
	end := func() {
		if begun {
			words = append(words, word)
		}
		word, begun = "", false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word += string(r)
		case r == '\'' || r == '"':
			quote, begun = r, true
		case r == ' ':
			end()
		default:
			word, begun = word+string(r), true
		}
	}
	require.Zero(t, quote, line)
	end()
	var command []string
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case "|", "&&", ";":
			commands, command = append(commands, command), nil
		case ">", "<", ">>":
			i++
		default:
			command = append(command, words[i])
		}
	}
	return append(commands, command)
}

// requireFits fails unless the program accepts the command line.
func requireFits(t *testing.T, words []string) {
	t.Helper()
	root := (&app{}).root()
	fitting := strings.NewReplacer("12D3KooW...", somePeer, "/p2p/...", "/p2p/"+somePeer)
	for i, w := range words {
		words[i] = fitting.Replace(w)
	}
	args := expandBootstrap(words[1:])
	cmd, rest, err := root.Find(args)
	require.NoError(t, err, words)
	require.NoError(t, cmd.ParseFlags(rest), "%v", words)
	require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), "%v", words)
	require.True(t, cmd == root || !cmd.HasSubCommands(), "%v: %s only groups others", words, cmd.CommandPath())
	cmd.Flags().Visit(func(f *pflag.Flag) {
		require.False(t, f.Hidden && f.Name != "serve", "%v: --%s is not for it", words, f.Name)
	})
}

// assigned matches an assignment before a command.
var assigned = regexp.MustCompile(`^[A-Z_]+=\S*$`)

// programs returns the command lines of holdfast in a line of shell.
func programs(t *testing.T, line string) (lines [][]string) {
	t.Helper()
	for _, words := range shellWords(t, line) {
		for len(words) > 0 && (assigned.MatchString(words[0]) || words[0] == "sudo") {
			words = words[1:]
		}
		if len(words) > 0 && (words[0] == "holdfast" || words[0] == "./holdfast") {
			lines = append(lines, words)
		}
	}
	return lines
}

// The program accepts every example of its help.
func TestExamplesFit(t *testing.T) {
	eachCommand((&app{}).root(), func(cmd *cobra.Command) {
		lines := 0
		for line := range strings.Lines(cmd.Example) {
			require.True(t, strings.HasPrefix(line, "  "), "%s: %q", cmd.CommandPath(), line)
			for _, words := range programs(t, strings.TrimSpace(line)) {
				requireFits(t, words)
				lines++
			}
		}
		require.Positive(t, lines, cmd.CommandPath())
	})
}

// documented matches command lines in a text: in backquotes, or on an indented line.
var documented = regexp.MustCompile("(?m)`((?:\\./)?holdfast [^`\n]*)`|^(?:    |> )((?:\\./)?holdfast [^\n]*)$")

// Every command and flag that the documents and messages name exists.
func TestDocumentedCommandsFit(t *testing.T) {
	files := []string{"../../config.toml"}
	for _, pattern := range []string{"../../*.md", "../../.github/*/*.yml", "../../docs/*.md", "../../docs/*/*.md", "*.go", "../../pkg/*/*.go", "../../internal/*/*.go", "../../storage/*.go", "../../deploy/*/*.service", "../../deploy/*/*.yml"} {
		more, err := filepath.Glob(pattern)
		require.NoError(t, err)
		files = append(files, more...)
	}
	seen := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range documented.FindAllStringSubmatch(string(text), -1) {
			line, _, _ := strings.Cut(m[1]+m[2], " #")
			if strings.Contains(line, "%s") || strings.ContainsAny(line, "…$\\") {
				continue
			}
			for _, words := range programs(t, strings.TrimSpace(line)) {
				seen++
				requireNamed(t, file, words)
			}
		}
	}
	require.Greater(t, seen, 50)
}

// requireNamed fails unless the command and its flags exist. Arguments may be missing.
func requireNamed(t *testing.T, file string, words []string) {
	t.Helper()
	root := (&app{}).root()
	cmd, rest, err := root.Find(words[1:])
	require.NoError(t, err, "%s: %v", file, words)
	cmd.InheritedFlags()
	for _, w := range rest {
		if name, ok := strings.CutPrefix(w, "--"); ok && name != "" {
			name, _, _ = strings.Cut(name, "=")
			require.True(t, name == "help" || name == "version" || cmd.Flags().Lookup(name) != nil, "%s: %v: no flag --%s", file, words, name)
		} else if cmd != root && cmd.HasSubCommands() && !strings.HasPrefix(w, "-") {
			require.Failf(t, "no such command", "%s: %v", file, words)
		}
	}
}

// completions runs __complete as a shell does, and returns the offered words and the
// directive.
func (s *shell) completions(args ...string) (offered []string, directive string) {
	s.t.Helper()
	_, stdout, _ := s.runIn(s.t.Context(), append([]string{"__complete"}, args...)...)
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	for _, line := range lines[:len(lines)-1] {
		word, _, _ := strings.Cut(line, "\t")
		offered = append(offered, word)
	}
	return offered, lines[len(lines)-1]
}

// Completion offers arguments and flag values with few choices, and files only where the
// command takes a file. It offers no flag that is not for the command.
func TestCompletionOfArguments(t *testing.T) {
	s := shellOf(t, nil)
	const noFiles, files = ":4", ":0"
	for _, c := range []struct {
		line, word string
		offers     []string
		directive  string
	}{
		{"serve --mode", "", modes, noFiles},
		{"demo --mode", "", modes, noFiles},
		{"log level", "", append(slices.Clone(levels), config.LogSubsystems...), noFiles},
		{"log level rpc", "", levels, noFiles},
		{"log level rpc debug", "", []string{}, noFiles},
		{"explain get", "", []string{}, noFiles},
		{"unpublish k", "", []string{}, noFiles},
		{"unprovide --bootstrap " + someAddr, "", []string{}, noFiles},
		{"provide --file", "", []string{}, files},
		{"get --output", "", []string{}, files},
		{"restore", "", []string{}, files},
		{"sim run --scenario", "", sim.Scenarios(), files},
		{"republish", "", []string{"now", "status"}, noFiles},
		{"status", "--", []string{"--api", "--config", "--data-dir", "--help", "--json", "--timeout"}, noFiles},
	} {
		offered, directive := s.completions(append(strings.Fields(c.line), c.word)...)
		require.Equal(t, c.directive, directive, c.line)
		require.ElementsMatch(t, c.offers, offered, c.line)
	}
}
