package scaling

import (
	"context"
	"errors"
	"fmt"

	"scaleproof/internal/invalid"
	"scaleproof/internal/kubectl"
	"scaleproof/scaling/shard"
)

// Shard is a phase of moving organisations, which the environment's Move says.
type Shard struct {
	// Phase is move, verify, cutover or cleanup.
	Phase string `yaml:"phase" json:"phase"`
}

// The phases that are steps.
const (
	phaseMove    = "move"
	phaseVerify  = "verify"
	phaseCutover = "cutover"
	phaseCleanup = "cleanup"
)

func (s Shard) validate() error {
	switch s.Phase {
	case phaseMove, phaseVerify, phaseCutover, phaseCleanup:
		return nil
	}
	return invalid.Field("phase", "must be move, verify, cutover or cleanup, and is %q", s.Phase)
}

func (s Shard) change(env Environment) change { return &shardChange{s, env} }

// errNoMove is that an environment has nothing to move.
var errNoMove = errors.New("the environment has no move: the plan needs the section shard")

// NewJob returns the environment's move, with its routing.
func NewJob(env Environment) (*shard.Job, error) {
	if env.Move == nil {
		return nil, errNoMove
	}
	opts := shard.Options{Environ: env.Environ, Now: env.Now}
	if env.OnMove != nil {
		opts.OnEvent = func(text string) { env.OnMove(env.step, text) }
	}
	if env.OnProgress != nil {
		opts.OnProgress = func(p shard.Progress) { env.OnProgress(env.step, p) }
	}
	switch r := env.Move.Routing; {
	case r.ConfigMap != "" && env.Kubernetes == nil:
		return nil, errors.New("the routing is a ConfigMap, and the environment has no Kubernetes")
	case r.ConfigMap != "":
		opts.Routing = configMapRouting{env.Kubernetes, r.ConfigMap}
	case r.File != "":
		opts.Routing = shard.FileRouting{Path: r.File}
	default:
		name := env.Move.SourceNode()
		dsn, err := env.dsn(name)
		if err != nil {
			return nil, err
		}
		schema, table := env.Move.RoutingTable()
		opts.Routing = shard.TableRouting{Node: shard.Node{Name: name, DSN: dsn}, Schema: schema, Table: table}
	}
	return shard.New(*env.Move, env.DSNs, opts)
}

type shardChange struct {
	Shard
	env Environment
}

func (c *shardChange) job() (*shard.Job, error) { return NewJob(c.env) }

func (c *shardChange) describe() string {
	if c.env.Move == nil {
		return c.Phase
	}
	what := fmt.Sprintf("organisations %s from %s to %s", c.env.Move.Organizations, c.env.Move.SourceNode(), c.env.Move.Target)
	return map[string]string{
		phaseMove: "copy ", phaseVerify: "verify ", phaseCutover: "cut over ", phaseCleanup: "delete from the source ",
	}[c.Phase] + what
}

func (c *shardChange) undoes() string {
	return map[string]string{
		phaseMove: "abandon the move: the target gives its rows up", phaseVerify: "nothing to undo",
		phaseCutover: "go back, with what was written since", phaseCleanup: "",
	}[c.Phase]
}

// read returns the phase of the move. That it followed the writes before a
// cut-over is not a state to go back to: having gone back, it has no need to.
func (c *shardChange) read(ctx context.Context) (state string, ok bool, err error) {
	if c.Phase == phaseVerify {
		return "", false, nil
	}
	job, err := c.job()
	if err != nil {
		return "", true, err
	}
	s, err := job.State(ctx)
	if s.Phase == shard.Following {
		s.Phase = shard.Copied
	}
	return string(s.Phase), true, err
}

// notes implements noter: what makes a fence long.
func (c *shardChange) notes(ctx context.Context) []string {
	if c.Phase != phaseCutover {
		return nil
	}
	job, err := c.job()
	if err != nil {
		return nil // read told it
	}
	notes, err := job.FenceNotes(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	return notes
}

func (c *shardChange) apply(ctx context.Context) (string, error) {
	job, err := c.job()
	if err != nil {
		return "", err
	}
	switch c.Phase {
	case phaseMove:
		r, err := job.Move(ctx)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%d rows copied in %.1f s", r.Copied, r.Seconds), nil
	case phaseVerify:
		return verified(job.Verify(ctx))
	case phaseCutover:
		r, err := job.Cutover(ctx)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("writes were refused for %.2f s; %d rows compared before, %d within; routing epoch %d", r.FenceSeconds, r.Compared, r.Checked.Count(), r.Epoch), nil
	}
	r, err := job.Cleanup(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d rows deleted", r.Deleted), nil
}

// verified says what a verification came to; a difference is an error.
func verified(v *shard.Verification, err error) (string, error) {
	if err != nil {
		return "", err
	}
	if !v.Equal {
		return "", fmt.Errorf("the sides are not equal: %s", v.Summary())
	}
	return fmt.Sprintf("%d rows are equal, in %.1f s", v.Rows, v.Seconds), nil
}

func (c *shardChange) expects() string {
	return string(map[string]shard.Phase{phaseMove: shard.Copied, phaseCutover: shard.Moved, phaseCleanup: shard.Cleaned}[c.Phase])
}

func (c *shardChange) verify(state string) error {
	if state != c.expects() {
		return fmt.Errorf("the move is %s, and should be %s", state, c.expects())
	}
	return nil
}

func (c *shardChange) undo(ctx context.Context, prior string) (string, error) {
	job, err := c.job()
	if err != nil {
		return "", err
	}
	switch {
	case c.Phase == phaseMove && prior == string(shard.None):
		return "", job.Abandon(ctx)
	case c.Phase == phaseMove:
		return "", errors.New("the move had begun before: abandon it by scaleproof shard move --abandon, if that is meant")
	case c.Phase == phaseCutover:
		_, err = job.Back(ctx)
		return "", err
	}
	return "", nil
}

// configMapRouting keeps the routes in a ConfigMap: the whole of them in one key,
// replaced as one object of the same resource version.
type configMapRouting struct {
	client *kubectl.Client
	name   string
}

// The keys of the ConfigMap.
const (
	routesKey = "routes.json"
	epochKey  = "epoch"
)

// Read implements shard.Routing.
func (r configMapRouting) Read(ctx context.Context) (shard.Routes, error) {
	_, routes, err := r.get(ctx)
	return routes, err
}

func (r configMapRouting) get(ctx context.Context) (kubectl.Object, shard.Routes, error) {
	o, err := r.client.Get(ctx, "configmap/"+r.name)
	if kubectl.ReasonOf(err) == kubectl.NotFound {
		return nil, shard.Routes{}, nil
	}
	if err != nil {
		return nil, shard.Routes{}, err
	}
	routes, err := shard.DecodeRoutes([]byte(o.Text("data", routesKey)))
	return o, routes, err
}

// Write implements shard.Routing. Other keys of the ConfigMap stay.
func (r configMapRouting) Write(ctx context.Context, next shard.Routes) error {
	o, now, err := r.get(ctx)
	if err != nil {
		return err
	}
	if now.Epoch != next.Epoch-1 {
		return shard.ErrStaleRoutes
	}
	text, err := next.Encode()
	if err != nil {
		return err
	}
	data := map[string]any{}
	if o != nil {
		if was, ok := o.At("data").(map[string]any); ok {
			data = was
		}
	}
	data[routesKey], data[epochKey] = string(text), fmt.Sprint(next.Epoch)
	if o == nil {
		_, err = r.client.Create(ctx, kubectl.Object{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": r.name}, "data": data,
		}, false)
	} else {
		o["data"] = data
		_, err = r.client.Replace(ctx, o)
	}
	if reason := kubectl.ReasonOf(err); reason == kubectl.Conflict || reason == kubectl.AlreadyExists {
		return shard.ErrStaleRoutes
	}
	return err
}
