package manifests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	security "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

const (
	kubernetesDir   = "deploy/kubernetes"
	kubernetesGuide = "docs/guides/kubernetes.md"
)

// objects are the manifests of one node, strictly decoded.
type objects struct {
	set      appsv1.StatefulSet
	config   corev1.ConfigMap
	services map[string]corev1.Service
	budget   policyv1.PodDisruptionBudget
	monitor  monitoringv1.ServiceMonitor
}

// manifests decodes the manifests.
func manifests(t testing.TB) *objects {
	t.Helper()
	o := &objects{services: map[string]corev1.Service{}}
	files := 0
	for _, pattern := range []string{"*", "optional/*"} {
		names, err := filepath.Glob(filepath.Join(root, kubernetesDir, pattern+".yaml"))
		require.NoError(t, err)
		for _, name := range names {
			o.add(t, name)
			files++
		}
	}
	require.Equal(t, 5, files)
	return o
}

// add decodes a file.
func (o *objects) add(t testing.TB, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, doc := range strings.Split(string(data), "\n---\n") {
		o.decode(t, path, []byte(doc))
	}
}

func (o *objects) decode(t testing.TB, path string, doc []byte) {
	t.Helper()
	var kind metav1.TypeMeta
	require.NoError(t, yaml.Unmarshal(doc, &kind), path)
	var service corev1.Service
	into, ok := map[metav1.TypeMeta]any{
		{Kind: "StatefulSet", APIVersion: "apps/v1"}:                     &o.set,
		{Kind: "ConfigMap", APIVersion: "v1"}:                            &o.config,
		{Kind: "Service", APIVersion: "v1"}:                              &service,
		{Kind: "PodDisruptionBudget", APIVersion: "policy/v1"}:           &o.budget,
		{Kind: "ServiceMonitor", APIVersion: "monitoring.coreos.com/v1"}: &o.monitor,
	}[kind]
	require.True(t, ok, "%s: %v", path, kind)
	require.NoError(t, yaml.UnmarshalStrict(doc, into), path)
	if service.Name != "" {
		o.services[service.Name] = service
	}
}

// p2p returns the service that other peers use, and metrics the one that Prometheus uses.
func (o *objects) p2p() corev1.Service     { return o.services[o.set.Name+"-p2p"] }
func (o *objects) metrics() corev1.Service { return o.services[o.set.Name] }

// pod returns the pod and its only container.
func (o *objects) pod() (corev1.PodSpec, corev1.Container) {
	pod := o.set.Spec.Template.Spec
	return pod, pod.Containers[0]
}

// The names and labels by which the objects refer to each other.
func TestReferencesOfObjects(t *testing.T) {
	o := manifests(t)
	pod, c := o.pod()
	require.Len(t, pod.Containers, 1)
	require.Len(t, o.services, 2)
	labels := o.set.Spec.Template.Labels
	selects := func(selector map[string]string) {
		require.NotEmpty(t, selector)
		for name, value := range selector {
			require.Equal(t, value, labels[name], name)
		}
	}
	selects(o.set.Spec.Selector.MatchLabels)
	selects(o.budget.Spec.Selector.MatchLabels)
	for _, s := range o.services {
		selects(s.Spec.Selector)
	}
	headless := o.services[o.set.Spec.ServiceName]
	require.Equal(t, corev1.ClusterIPNone, headless.Spec.ClusterIP)

	claims := map[string]bool{}
	for _, claim := range o.set.Spec.VolumeClaimTemplates {
		claims[claim.Name] = true
	}
	for _, v := range pod.Volumes {
		claims[v.Name] = true
		if v.ConfigMap != nil {
			require.Equal(t, o.config.Name, v.ConfigMap.Name)
		}
	}
	for _, m := range c.VolumeMounts {
		require.True(t, claims[m.Name], m.Name)
	}
	require.Len(t, c.VolumeMounts, len(claims))
}

// The ports of the pod and of the services are those of the configuration.
func TestPortsOfPod(t *testing.T) {
	o := manifests(t)
	values := settings(t, o.config.Data["config.toml"], imageEnv(t)...)
	p2p := fmt.Sprint(values["network.port"])
	want := map[string]string{"p2p-tcp": p2p + " TCP", "p2p-udp": p2p + " UDP", "metrics": port(t, values["metrics.listen"]) + " TCP"}
	have := map[string]string{}
	_, c := o.pod()
	for _, p := range c.Ports {
		have[p.Name] = fmt.Sprint(p.ContainerPort, " ", orTCP(p.Protocol))
	}
	require.Equal(t, want, have)
	served := map[string]string{}
	for _, s := range o.services {
		for _, p := range s.Spec.Ports {
			served[p.TargetPort.StrVal] = fmt.Sprint(p.Port, " ", orTCP(p.Protocol))
			require.Equal(t, p.Name, p.TargetPort.StrVal)
		}
	}
	require.Equal(t, want, served)
	require.Equal(t, fmt.Sprintf("[/ip4/203.0.113.7/tcp/%[1]s /ip4/203.0.113.7/udp/%[1]s/quic-v1]", p2p), fmt.Sprint(values["network.announce"]))
}

func orTCP(p corev1.Protocol) corev1.Protocol {
	if p == "" {
		return corev1.ProtocolTCP
	}
	return p
}

// Peers keep their addresses and reach a node that is not ready.
func TestServiceOfPeers(t *testing.T) {
	o := manifests(t)
	require.Equal(t, corev1.ServiceExternalTrafficPolicyLocal, o.p2p().Spec.ExternalTrafficPolicy)
	require.True(t, o.p2p().Spec.PublishNotReadyAddresses)
	require.True(t, o.metrics().Spec.PublishNotReadyAddresses)
	require.EqualValues(t, 1, *o.set.Spec.Replicas)
}

// The probes ask what the node serves, and wait as long as the check of the image.
func TestProbes(t *testing.T) {
	_, c := manifests(t).pod()
	timeout := duration(t, "Dockerfile", `HEALTHCHECK .*--timeout=(\S+)`)
	down := duration(t, "Dockerfile", `HEALTHCHECK .*--interval=(\S+)`) * 5
	page := read(t, "docs/reference/http.md")
	for path, probe := range map[string]*corev1.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		require.Equal(t, path, probe.HTTPGet.Path)
		require.Contains(t, page, "`GET "+path+"`")
		require.Equal(t, "metrics", probe.HTTPGet.Port.StrVal)
	}
	for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		require.GreaterOrEqual(t, seconds(probe.TimeoutSeconds), timeout)
	}
	require.Equal(t, c.LivenessProbe.ProbeHandler, c.StartupProbe.ProbeHandler)
	patience := func(p *corev1.Probe) time.Duration { return seconds(p.PeriodSeconds * p.FailureThreshold) }
	require.GreaterOrEqual(t, patience(c.LivenessProbe), down)
	require.Equal(t, 30*time.Minute, patience(c.StartupProbe))
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }

// The pod fits the Pod Security Standard that the guide sets for the namespace.
func TestPodSecurity(t *testing.T) {
	require.Contains(t, read(t, kubernetesGuide), "pod-security.kubernetes.io/enforce="+string(security.LevelRestricted))
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	require.NoError(t, err)
	template := manifests(t).set.Spec.Template
	level := security.LevelVersion{Level: security.LevelRestricted, Version: security.LatestVersion()}
	results := evaluator.EvaluatePod(level, &template.ObjectMeta, &template.Spec)
	require.NotEmpty(t, results)
	for _, r := range results {
		require.True(t, r.Allowed, "%s: %s", r.ForbiddenReason, r.ForbiddenDetail)
	}
}

// The pod runs as the image and the unit do: the user, the volume, the time to stop, a
// read-only root.
func TestPodFitsTheImage(t *testing.T) {
	pod, c := manifests(t).pod()
	user, err := strconv.ParseInt(found(t, "Dockerfile", `(?m)^USER (\d+):\d+$`), 10, 64)
	require.NoError(t, err)
	s := pod.SecurityContext
	require.Equal(t, []int64{user, user, user}, []int64{*s.RunAsUser, *s.RunAsGroup, *s.FSGroup})
	require.Equal(t, corev1.FSGroupChangeOnRootMismatch, *s.FSGroupChangePolicy)
	require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem)
	require.False(t, *pod.AutomountServiceAccountToken)
	require.False(t, *pod.EnableServiceLinks)
	stop := duration(t, "deploy/systemd/holdfast.service", `(?m)^TimeoutStopSec=(\S+)$`)
	require.Equal(t, stop, time.Duration(*pod.TerminationGracePeriodSeconds)*time.Second)
	mounts := map[string]string{}
	for _, m := range c.VolumeMounts {
		mounts[m.Name] = m.MountPath
	}
	require.Equal(t, found(t, "Dockerfile", `(?m)^VOLUME (\S+)$`), mounts["data"])
	require.Equal(t, []corev1.EnvVar{{Name: "CREDENTIALS_DIRECTORY", Value: mounts["identity"]}}, c.Env)
}

// toml returns the first toml block of a page.
func toml(t testing.TB, page string) string {
	t.Helper()
	return found(t, page, "(?ms)^```toml\n(.*?)^```$")
}

// The guide's settings for the first node of a private network are those of the guide of
// private networks; the manifest sets port_mapping itself.
func TestPrivateNetwork(t *testing.T) {
	have := settings(t, toml(t, kubernetesGuide))
	want := settings(t, toml(t, "docs/guides/private-network.md"))
	public := settings(t, manifests(t).config.Data["config.toml"])
	require.Equal(t, want["network.port_mapping"], public["network.port_mapping"])
	have["network.port_mapping"] = public["network.port_mapping"]
	require.Equal(t, want, have)
	for _, key := range []string{"network.protocol_prefix", "network.bootstrap_role", "values.unvalidated_namespaces"} {
		require.NotEqual(t, public[key], have[key], key)
	}
}

// The volume holds the database and a copy of it; libp2p may use a quarter of the memory.
func TestResources(t *testing.T) {
	o := manifests(t)
	_, c := o.pod()
	values := settings(t, o.config.Data["config.toml"], imageEnv(t)...)
	volume := o.set.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage()
	require.GreaterOrEqual(t, volume.Value(), 2*size(t, values["storage.max_bytes"]))
	memory := c.Resources.Limits.Memory().Value()
	require.Equal(t, memory/4, size(t, values["limits.memory"]))
	require.Less(t, c.Resources.Requests.Memory().Value(), memory)
}

// size returns a size of the configuration in bytes. Kubernetes writes 8Gi for 8GiB.
func size(t testing.TB, text any) int64 {
	t.Helper()
	q, err := resource.ParseQuantity(strings.TrimSuffix(text.(string), "B"))
	require.NoError(t, err)
	return q.Value()
}

// Prometheus scrapes the node as the job that the alerts select.
func TestServiceMonitor(t *testing.T) {
	o := manifests(t)
	s := o.metrics()
	for name, value := range o.monitor.Spec.Selector.MatchLabels {
		require.Equal(t, value, s.Labels[name])
		require.NotEqual(t, value, o.p2p().Labels[name], "the service of the peers has no metrics")
	}
	require.Contains(t, read(t, "deploy/prometheus/holdfast.rules.yml"), fmt.Sprintf("job=%q", s.Labels[o.monitor.Spec.JobLabel]))
	require.Len(t, o.monitor.Spec.Endpoints, 1)
	require.Equal(t, s.Spec.Ports[0].Name, o.monitor.Spec.Endpoints[0].Port)
	require.Contains(t, read(t, "docs/reference/http.md"), "`GET "+o.monitor.Spec.Endpoints[0].Path+"`")
}

// block returns the sh block of the guide that contains some text.
func block(t testing.TB, text string) string {
	t.Helper()
	for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(read(t, kubernetesGuide), -1) {
		if strings.Contains(m[1], text) {
			return m[1]
		}
	}
	require.Fail(t, "no such block", text)
	return ""
}

// shell runs commands in a directory with the repository's deploy, and returns what they
// print.
func shell(t testing.TB, commands string) (dir string, out []byte) {
	t.Helper()
	deploy, err := filepath.Abs(filepath.Join(root, "deploy"))
	require.NoError(t, err)
	dir = t.TempDir()
	require.NoError(t, os.Symlink(deploy, filepath.Join(dir, "deploy")))
	cmd := exec.Command("bash", "-euc", commands)
	cmd.Dir = dir
	out, err = cmd.Output()
	require.NoError(t, err)
	return dir, out
}

// The guide's second node shares only what is meant for all nodes.
func TestSecondNode(t *testing.T) {
	dir, _ := shell(t, block(t, "mkdir -p node-b"))
	a, b := manifests(t), &objects{services: map[string]corev1.Service{}}
	names, err := filepath.Glob(filepath.Join(dir, "node-b", "*.yaml"))
	require.NoError(t, err)
	require.Len(t, names, 3)
	for _, name := range names {
		b.add(t, name)
	}
	require.Equal(t, "holdfast-b", b.set.Name)
	require.Len(t, b.services, len(a.services))
	require.NotEqual(t, a.config.Name, b.config.Name)
	require.NotEqual(t, a.set.Spec.Selector, b.set.Spec.Selector)
	for name, s := range b.services {
		require.NotContains(t, a.services, name)
		require.Equal(t, b.set.Spec.Selector.MatchLabels, s.Spec.Selector)
	}
	for _, labels := range []map[string]string{a.set.Spec.Template.Labels, b.set.Spec.Template.Labels} {
		for name, value := range a.budget.Spec.Selector.MatchLabels {
			require.Equal(t, value, labels[name])
		}
	}
}

// The guide's command makes an object of the alerts that the operator accepts.
func TestAlertsForTheOperator(t *testing.T) {
	_, command, ok := strings.Cut(block(t, "PrometheusRule"), "(")
	require.True(t, ok)
	command, _, ok = strings.Cut("("+command, "|\n")
	require.True(t, ok)
	_, doc := shell(t, command)
	var rule monitoringv1.PrometheusRule
	require.NoError(t, yaml.UnmarshalStrict(doc, &rule))
	require.Equal(t, "PrometheusRule", rule.Kind)
	alerts := 0
	for _, g := range rule.Spec.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				alerts++
			}
		}
	}
	require.Equal(t, strings.Count(read(t, "deploy/prometheus/holdfast.rules.yml"), "- alert: "), alerts)
}
