# Each target is one command; "make help" lists them. The scripts of .ci say what they do
# and what they need.
.DEFAULT_GOAL := help
.PHONY: help build install test test32 race lint cross fuzz simulate interop force e2e vulnerabilities check reference release

help: ## list the targets
	@sed -nE 's/^([a-z0-9]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 24

build: ## build ./holdfast
	go build -o holdfast ./cmd/holdfast

install: ## install holdfast into $(go env GOPATH)/bin
	go install ./cmd/holdfast

test: ## run all tests of the root module
	.ci/test

test32: ## run tests built for 32 bits
	.ci/test32

race: ## run the tests with the race detector
	.ci/race

lint: ## gofmt, vet, golangci-lint, shellcheck, actionlint
	.ci/lint

cross: ## build for every platform
	.ci/cross

fuzz: ## fuzz every target; an hour
	.ci/fuzz

simulate: ## run the simulated scenarios with 2,000 nodes; minutes
	.ci/simulate

interop: ## test against other implementations and other stores
	.ci/interop

force: ## test the stores with kills, power cuts and faults; needs root
	.ci/force

e2e: ## test the unit, the image, alerts and pages for real; needs root
	.ci/operation

vulnerabilities: ## look for known vulnerabilities; needs vuln.go.dev
	.ci/vulnerabilities

check: ## everything that must hold before a change lands, a quarter of an hour
	.ci/run

reference: ## write config.toml and docs/reference from the code
	UPDATE=1 go test -count=1 -run 'TestReference|TestFileEqualsDefaults' ./internal/config ./metrics ./cmd/holdfast

release: ## build a release into dist: make release VERSION=v0.1.0
	deploy/release/build "$$VERSION"
