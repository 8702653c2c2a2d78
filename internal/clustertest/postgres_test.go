//go:build cluster

package clustertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/sample"
	"scaleproof/internal/testpg"
)

// postgresScript starts a primary or, where PRIMARY is set, a replica that streams
// from it. A replica that is a little late still finds what it lacks: the checkpoint of
// the next one's backup would otherwise take it away.
const postgresScript = `
set -e
export PATH=BINARIES:/bin
if [ ! -s /data/pg/PG_VERSION ]; then
	if [ -n "$PRIMARY" ]; then
		until pg_basebackup -h "$PRIMARY" -U postgres -D /data/pg -R -X stream -c fast --no-sync; do rm -rf /data/pg; sleep 1; done
	else
		initdb -D /data/pg -U postgres --auth=trust --locale=C -E UTF8 --no-sync >/dev/null
		echo "host all,replication all all trust" >>/data/pg/pg_hba.conf
	fi
fi
exec postgres -D /data/pg -c listen_addresses='*' -c fsync=off -c unix_socket_directories=/tmp -c shared_buffers=8MB -c max_wal_senders=10 -c wal_keep_size=256MB
`

// loadPostgres makes the image of a PostgreSQL server out of the one of this machine.
var loadPostgres = sync.OnceValue(func() error {
	ctx := context.Background()
	binaries, err := testpg.FindBinaries(ctx)
	if err != nil {
		return err
	}
	server, err := filepath.EvalSymlinks(filepath.Join(binaries, "postgres"))
	if err != nil {
		return err
	}
	binaries = filepath.Dir(server)
	files := map[string]string{}
	var programs []string
	for _, name := range []string{"postgres", "initdb", "pg_basebackup", "pg_isready"} {
		programs = append(programs, filepath.Join(binaries, name))
	}
	for _, what := range []string{"--pkglibdir", "--sharedir"} {
		out, err := exec.CommandContext(ctx, filepath.Join(binaries, "pg_config"), what).Output()
		if err != nil {
			return fmt.Errorf("asking pg_config for %s: %w", what, err)
		}
		files[strings.TrimSpace(string(out))] = strings.TrimSpace(string(out))
	}
	for _, zones := range []string{"/usr/share/zoneinfo"} {
		if _, err := os.Stat(zones); err == nil {
			files[zones] = zones
		}
	}
	walreceiver, _ := filepath.Glob("/usr/lib/postgresql/*/lib/libpqwalreceiver.so")
	out, err := exec.CommandContext(ctx, "ldd", append(programs, walreceiver...)...).Output()
	if err != nil {
		return fmt.Errorf("asking for the libraries of PostgreSQL: %w", err)
	}
	for _, match := range regexp.MustCompile(`(?:=> )?(/\S+) \(0x`).FindAllStringSubmatch(string(out), -1) {
		files[match[1]] = match[1]
	}
	for _, p := range programs {
		files[p] = p
	}
	accounts := filepath.Join(filepath.Dir(cluster.Kubeconfig()), "passwd") // the server refuses to be root
	if err := os.WriteFile(accounts, []byte("root:x:0:0::/:/bin/sh\npostgres:x:999:999::/tmp:/bin/sh\n"), 0o644); err != nil {
		return err
	}
	image := cluster.Busybox("postgres", "/bin/sh", "-c", strings.ReplaceAll(postgresScript, "BINARIES", binaries))
	for place, file := range image.Files {
		files[place] = file
	}
	files["etc/passwd"] = accounts
	image.Files = map[string]string{}
	for place, file := range files {
		image.Files[strings.TrimPrefix(place, "/")] = file
	}
	return cluster.LoadImage(ctx, image)
})

// postgres is a StatefulSet of PostgreSQL servers with a Service. Its data is on the
// node, so that a new pod finds it again.
func postgres(t *testing.T, name string, replicas int, primary, namespace string) string {
	t.Helper()
	if err := loadPostgres(); err != nil {
		t.Fatal(err)
	}
	host := ""
	if primary != "" {
		host = "$(" + strings.ToUpper(strings.ReplaceAll(primary, "-", "_")) + "_SERVICE_HOST)"
	}
	return strings.NewReplacer("NAME", name, "COUNT", fmt.Sprint(replicas), "HOST", host,
		"FOLDER", filepath.Join(filepath.Dir(cluster.Kubeconfig()), "volumes", namespace)).Replace(`
apiVersion: v1
kind: Service
metadata: {name: NAME}
spec: {selector: {app: NAME}, ports: [{port: 5432, targetPort: 5432}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: NAME}
spec:
  replicas: COUNT
  serviceName: NAME
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      terminationGracePeriodSeconds: 5
      initContainers:
      - name: own
        image: docker.io/local/postgres:1
        imagePullPolicy: Never
        command: [/bin/sh, -c, "/bin/busybox mkdir -p /data && /bin/busybox chown 999:999 /data"]
        env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        volumeMounts: [{name: data, mountPath: /data, subPathExpr: $(POD)}]
      containers:
      - name: postgres
        image: docker.io/local/postgres:1
        imagePullPolicy: Never
        securityContext: {runAsUser: 999, runAsGroup: 999}
        env: [{name: PRIMARY, value: "HOST"}, {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        volumeMounts: [{name: data, mountPath: /data, subPathExpr: $(POD)}]
        readinessProbe: {tcpSocket: {port: 5432}, periodSeconds: 1}
        resources: {requests: {cpu: 10m, memory: 32Mi}}
      volumes: [{name: data, hostPath: {path: FOLDER, type: DirectoryOrCreate}}]
`)
}

// dsn is how this machine reaches a PostgreSQL server.
func (s *stage) dsn(service string) string {
	return "postgres://postgres@" + s.field("service/"+service, ".spec.clusterIP") + ":5432/postgres?sslmode=disable"
}

// connect waits until a server answers.
func (s *stage) connect(dsn string) *pgx.Conn {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, dsn)
		if err == nil {
			s.t.Cleanup(func() { _ = conn.Close(context.Background()) })
			return conn
		}
		select {
		case <-ctx.Done():
			s.t.Fatal(err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// incidents fills the tables that the examples ask for.
func (s *stage) incidents(dsn string) {
	s.t.Helper()
	s.connect(dsn) // it may just be starting
	if err := sample.Load(s.t.Context(), dsn, sample.Data{Organizations: 20, Incidents: 5000, Seed: 1, Now: time.Now()}); err != nil {
		s.t.Fatal(err)
	}
}
