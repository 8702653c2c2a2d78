package testcluster

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// nodeName is the name of the cluster's only node.
const nodeName = "node"

// containerdConfig keeps OOM scores where they are: this machine may lack the
// right to lower them.
const containerdConfig = `version = 2
root = "DIR/containerd"
state = "DIR/run"
[grpc]
  address = "DIR/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/local/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "CACHE/cni"
    conf_dir = "DIR/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "CACHE/bin/runc"
`

// kubeletConfig opens the kubelet to all: it listens in a namespace that only
// this machine reaches.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: /CGROUP
cgroupsPerQOS: true
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix://DIR/containerd.sock
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
nodeStatusUpdateFrequency: 2s
resolvConf: ""
registerNode: true
syncFrequency: 2s
`

const networkConfig = `{
  "cniVersion": "0.4.0", "name": "test",
  "plugins": [
    {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
     "ipam": {"type": "host-local", "dataDir": "DIR/ipam", "ranges": [[{"subnet": "PODS"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`

// writeNode writes the configurations of the node's programs.
func (c *Cluster) writeNode() error {
	if err := os.MkdirAll(c.path("cni"), 0o700); err != nil {
		return err
	}
	fill := strings.NewReplacer("DIR", c.dir, "CACHE", c.binaries, "PODS", podNetwork, "CGROUP", cgroupRoot)
	for name, text := range map[string]string{
		"containerd.toml":                   containerdConfig,
		"kubelet.yaml":                      kubeletConfig,
		filepath.Join("cni", "10.conflist"): networkConfig,
	} {
		if err := c.write(name, fill.Replace(text)); err != nil {
			return err
		}
	}
	return nil
}

// startControlPlane starts what the node needs to join, and waits until the API
// server is ready.
func (c *Cluster) startControlPlane(ctx context.Context) error {
	config := c.Kubeconfig()
	for _, args := range [][]string{
		{"containerd", "--config", c.path("containerd.toml")},
		{
			"etcd", "--data-dir", c.path("etcd"), "--listen-client-urls=http://127.0.0.1:2379",
			"--advertise-client-urls=http://127.0.0.1:2379", "--listen-peer-urls=http://127.0.0.1:2380",
		},
		{
			"kube-apiserver", "--etcd-servers=http://127.0.0.1:2379",
			"--service-account-key-file=" + c.path("service-account.key"),
			"--service-account-signing-key-file=" + c.path("service-account.key"),
			"--service-account-issuer=https://kubernetes.default.svc",
			"--token-auth-file=" + c.path("tokens.csv"), "--authorization-mode=Node,RBAC",
			"--service-cluster-ip-range=" + serviceSubnet, "--bind-address=0.0.0.0", "--advertise-address=" + nodeIP,
			"--cert-dir=" + c.path("apiserver"), "--allow-privileged", "--kubelet-preferred-address-types=InternalIP",
			"--requestheader-client-ca-file=" + c.path("proxy-ca.crt"), "--requestheader-allowed-names=front-proxy-client",
			"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-", "--proxy-client-cert-file=" + c.path("proxy.crt"),
			"--proxy-client-key-file=" + c.path("proxy.key"), "--enable-aggregator-routing",
		},
	} {
		if err := c.startComponent(args[0], args...); err != nil {
			return err
		}
	}
	err := c.await(ctx, "the API server", func(ctx context.Context) error {
		_, err := c.Kubectl(ctx, "", "get", "--raw", "/readyz")
		return err
	})
	if err != nil {
		return err
	}
	return c.startControllers(config)
}

func (c *Cluster) startControllers(config string) error {
	for _, args := range [][]string{
		{
			"kube-controller-manager", "--kubeconfig=" + config, "--service-account-private-key-file=" + c.path("service-account.key"),
			"--root-ca-file=" + c.path("apiserver/apiserver.crt"), // by which pods know the API server
			"--use-service-account-credentials", "--cluster-cidr=" + clusterCIDR, "--leader-elect=false",
			"--cert-dir=" + c.path("controllers"), "--horizontal-pod-autoscaler-sync-period=2s",
			"--horizontal-pod-autoscaler-initial-readiness-delay=1s", "--horizontal-pod-autoscaler-cpu-initialization-period=5s",
		},
		{"kube-scheduler", "--kubeconfig=" + config, "--leader-elect=false", "--cert-dir=" + c.path("scheduler")},
		{
			"kubelet", "--config=" + c.path("kubelet.yaml"), "--kubeconfig=" + config, "--hostname-override=" + nodeName,
			"--node-ip=" + nodeIP, "--root-dir=" + c.path("kubelet"), "--cert-dir=" + c.path("kubelet-certificates"),
		},
		{"kube-proxy", "--kubeconfig=" + config, "--cluster-cidr=" + clusterCIDR, "--hostname-override=" + nodeName, "--conntrack-max-per-core=0"},
	} {
		if err := c.startComponent(args[0], args...); err != nil {
			return err
		}
	}
	return nil
}
