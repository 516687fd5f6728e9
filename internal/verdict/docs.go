package verdict

import "regexp"

// repository is where the documentation is read.
const repository = "https://github.com/holdfast-dht/holdfast/blob/"

var release = regexp.MustCompile(`^v\d+\.\d+\.\d+$`)

// Docs returns the URL of the directory docs, with a slash at the end, for a version of the
// program: that of the release, or of the main branch for any other build.
func Docs(version string) string {
	if !release.MatchString(version) {
		version = "main"
	}
	return repository + version + "/docs/"
}
