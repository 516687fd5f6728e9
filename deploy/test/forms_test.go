package deploytest

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// issueForm is a file of .github/ISSUE_TEMPLATE, as far as this repository uses GitHub's
// schema (docs.github.com, "Syntax for issue forms").
type issueForm struct {
	Name, Description string
	Labels            []string
	Body              []struct {
		Type, ID   string
		Attributes struct {
			Label, Description, Value, Render string
			Options                           []string
		}
		Validations struct{ Required bool }
	}
}

// readForm returns the questions of a form by their ID.
func readForm(t *testing.T, name string) (required map[string]bool, text map[string]string) {
	t.Helper()
	file, err := os.Open("../../.github/ISSUE_TEMPLATE/" + name)
	require.NoError(t, err)
	defer file.Close()
	decoder := yaml.NewDecoder(file)
	decoder.KnownFields(true)
	var form issueForm
	require.NoError(t, decoder.Decode(&form), name)
	require.NotEmpty(t, form.Name)
	require.NotEmpty(t, form.Description)
	required, text = map[string]bool{}, map[string]string{}
	for _, q := range form.Body {
		if q.Type == "markdown" {
			require.NotEmpty(t, q.Attributes.Value)
			continue
		}
		require.Contains(t, []string{"input", "textarea", "dropdown"}, q.Type)
		require.Equal(t, q.Type == "dropdown", len(q.Attributes.Options) > 1, q.ID)
		require.NotEmpty(t, q.Attributes.Label, q.ID)
		require.NotContains(t, text, q.ID)
		required[q.ID], text[q.ID] = q.Validations.Required, q.Attributes.Description
	}
	return required, text
}

// The report of a bug asks for what a maintainer needs first.
func TestIssueForms(t *testing.T) {
	required, text := readForm(t, "bug.yml")
	for id, command := range map[string]string{"version": "`holdfast version`", "config": "`holdfast config print", "bundle": "`holdfast debug bundle`"} {
		require.Contains(t, text[id], command, id)
	}
	require.True(t, required["version"] && required["what"] && required["repeat"])
	require.False(t, required["bundle"])
	require.Contains(t, text["bundle"], "Do not attach it to this public issue", "it contains addresses and keys")
	require.Contains(t, text["bundle"], "/security/advisories/new", "a private way")

	required, text = readForm(t, "feature.yml")
	require.True(t, required["problem"])
	require.Contains(t, strings.Join([]string{text["problem"], text["setup"]}, " "), "holdfast version")
}
