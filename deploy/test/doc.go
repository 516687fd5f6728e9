// Package deploytest holds what is shipped for Prometheus and Grafana to its rules,
// and tries it on the real thing: a network of daemons scraped by Prometheus.
// ./run does all of it. The tests of files alone are an ordinary go test -count=1: go
// does not see that files outside of the module changed.
package deploytest
