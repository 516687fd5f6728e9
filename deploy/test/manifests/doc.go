// Package manifests tests the manifests for Kubernetes and the compose file: they decode
// strictly into the types of Kubernetes, the Prometheus Operator and Compose, and agree with
// the Dockerfile, the unit, the pages and the program. The code of Pod Security Admission checks
// the pod. Nothing is applied to a cluster, and no Docker is needed.
package manifests
