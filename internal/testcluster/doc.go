// Package testcluster starts a real Kubernetes cluster of one node on a Debian
// machine, as root, in some twenty seconds, and takes it down whatever happens.
//
// # Parts
//
// scripts/install-cluster.sh puts the programs into the user's cache, under
// scaleproof/cluster: the Kubernetes programs and kubectl in one binary built
// from the module beside this file (kubernetes/), metrics-server (metrics/), and
// etcd, containerd, runc, busybox and the CNI plugins out of Debian's packages.
// No image comes from a registry: Image makes them on the spot from files of the
// machine.
//
// # Namespaces
//
// Everything runs below one process, the init, that has a PID, a mount and a
// network namespace of its own. When the init ends, the kernel kills everything
// in its PID namespace, pods and their shims too, unmounts what was mounted in
// its mount namespace, and removes its network. The init ends when its standard
// input does, which is when the process that started the cluster dies, however
// it dies. A second process, the guardian, waits for that, and then removes what
// a dead init leaves: the cluster's folder and its cgroups.
//
// The programs enter the init's namespaces by nsenter, one by one, so that a test
// can stop one of them (StopComponent) and start it again.
//
// # Network
//
// A veth pair joins the namespace (10.99.0.1) with the machine (10.99.0.254), and
// two routes lead to the pods (10.244.0.0/24) and the Services (10.96.0.0/16), so
// that a load generator on the machine reaches Services by their cluster IP.
// These addresses allow one cluster at a time on a machine: Start waits for a
// lock.
//
// # Measured
//
// On 2 cores: the cold build of Kubernetes takes 4.5 minutes and that of
// metrics-server 1.5, the link alone 10 s; a cluster takes pods 8 to 10 s after
// Start, and its metrics-server has figures 10 s later.
package testcluster
