// Package deploytest tests the dashboard and the alerts, both as files and on a network
// of daemons that a real Prometheus scrapes. ./run runs everything. For the files alone,
// go test -count=1 is enough; -count=1 because go does not notice changed files outside
// of the module. The manifests and the compose file are tested in the package manifests. The
// forms for issues are tested here because this module has a parser of YAML.
package deploytest
