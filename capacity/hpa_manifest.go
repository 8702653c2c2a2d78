package capacity

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"scaleproof/internal/invalid"
	"scaleproof/internal/unit"
)

// An HPA is a HorizontalPodAutoscaler of autoscaling/v2, as far as the
// controller computes with it.
type HPA struct {
	APIVersion string         `yaml:"apiVersion" json:"apiVersion"`
	Kind       string         `yaml:"kind" json:"kind"`
	Metadata   map[string]any `yaml:"metadata,omitempty" json:"metadata,omitempty"`
	Spec       HPASpec        `yaml:"spec" json:"spec"`
	// Status is that of a live object; nothing is taken from it.
	Status map[string]any `yaml:"status,omitempty" json:"-"`
}

// HPASpec is what the user wants.
type HPASpec struct {
	ScaleTargetRef ObjectReference `yaml:"scaleTargetRef" json:"scaleTargetRef"`
	MinReplicas    *int32          `yaml:"minReplicas,omitempty" json:"minReplicas,omitempty"` // zero: 1
	MaxReplicas    int32           `yaml:"maxReplicas" json:"maxReplicas"`
	Metrics        []MetricSpec    `yaml:"metrics,omitempty" json:"metrics,omitempty"` // zero: CPU at 80 %
	Behavior       *Behavior       `yaml:"behavior,omitempty" json:"behavior,omitempty"`
}

// An ObjectReference names what is scaled or described.
type ObjectReference struct {
	APIVersion string `yaml:"apiVersion,omitempty" json:"apiVersion,omitempty"`
	Kind       string `yaml:"kind" json:"kind"`
	Name       string `yaml:"name" json:"name"`
}

// The types of metrics.
const (
	ResourceMetric          = "Resource"
	ContainerResourceMetric = "ContainerResource"
	PodsMetric              = "Pods"
	ObjectMetric            = "Object"
	ExternalMetric          = "External"
)

// A MetricSpec is one metric with its target; the field of its type is set.
type MetricSpec struct {
	Type              string       `yaml:"type" json:"type"`
	Resource          *MetricField `yaml:"resource,omitempty" json:"resource,omitempty"`
	ContainerResource *MetricField `yaml:"containerResource,omitempty" json:"containerResource,omitempty"`
	Pods              *MetricField `yaml:"pods,omitempty" json:"pods,omitempty"`
	Object            *MetricField `yaml:"object,omitempty" json:"object,omitempty"`
	External          *MetricField `yaml:"external,omitempty" json:"external,omitempty"`
}

// A MetricField is what the five types have: a resource by its name, or another
// metric by its identifier.
type MetricField struct {
	Name            string            `yaml:"name,omitempty" json:"name,omitempty"`
	Container       string            `yaml:"container,omitempty" json:"container,omitempty"`
	Metric          *MetricIdentifier `yaml:"metric,omitempty" json:"metric,omitempty"`
	DescribedObject *ObjectReference  `yaml:"describedObject,omitempty" json:"describedObject,omitempty"`
	Target          MetricTarget      `yaml:"target" json:"target"`
}

// A MetricIdentifier names a custom metric.
type MetricIdentifier struct {
	Name     string         `yaml:"name" json:"name"`
	Selector map[string]any `yaml:"selector,omitempty" json:"selector,omitempty"`
}

// A MetricTarget is the level that the controller steers to.
type MetricTarget struct {
	Type               string   `yaml:"type" json:"type"` // Utilization, AverageValue or Value
	AverageUtilization *int32   `yaml:"averageUtilization,omitempty" json:"averageUtilization,omitempty"`
	AverageValue       *Decimal `yaml:"averageValue,omitempty" json:"averageValue,omitempty"`
	Value              *Decimal `yaml:"value,omitempty" json:"value,omitempty"`
}

// Behavior bounds how fast replicas are added and removed.
type Behavior struct {
	ScaleUp   *ScalingRules `yaml:"scaleUp,omitempty" json:"scaleUp,omitempty"`
	ScaleDown *ScalingRules `yaml:"scaleDown,omitempty" json:"scaleDown,omitempty"`
}

// ScalingRules are those of one direction. What is not set has the defaults of
// Kubernetes.
type ScalingRules struct {
	StabilizationWindowSeconds *int32          `yaml:"stabilizationWindowSeconds,omitempty" json:"stabilizationWindowSeconds,omitempty"`
	SelectPolicy               string          `yaml:"selectPolicy,omitempty" json:"selectPolicy,omitempty"` // Max, Min or Disabled; zero: Max
	Policies                   []ScalingPolicy `yaml:"policies,omitempty" json:"policies,omitempty"`
	Tolerance                  *Decimal        `yaml:"tolerance,omitempty" json:"tolerance,omitempty"` // zero: 0.1
}

// A ScalingPolicy allows so many pods, or such a percentage of them, per period.
type ScalingPolicy struct {
	Type          string `yaml:"type" json:"type"` // Pods or Percent
	Value         int32  `yaml:"value" json:"value"`
	PeriodSeconds int32  `yaml:"periodSeconds" json:"periodSeconds"`
}

// A Decimal is a number that is written as a Kubernetes quantity: "500m", "15k",
// "2Gi", "1e3".
type Decimal float64

// String prints the number as the shortest quantity of thousandths.
func (d Decimal) String() string {
	if m := math.Round(float64(d) * 1000); m != math.Trunc(m/1000)*1000 {
		return strconv.FormatFloat(m, 'f', -1, 64) + "m"
	}
	return strconv.FormatFloat(float64(d), 'f', -1, 64)
}

// MarshalText encodes d as String does.
func (d Decimal) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText decodes a quantity. It must be finite and not negative.
func (d *Decimal) UnmarshalText(text []byte) error {
	v, err := unit.ParseKubernetes(string(text))
	if err != nil {
		return err
	}
	*d = Decimal(v)
	return nil
}

// UnmarshalYAML decodes a scalar; an error carries its line and column.
func (d *Decimal) UnmarshalYAML(node ast.Node) error {
	text := node.GetToken().Value
	if s, ok := node.(*ast.StringNode); ok {
		text = s.Value
	}
	if _, ok := node.(ast.ScalarNode); !ok {
		return &yaml.SyntaxError{Message: "expected a quantity", Token: node.GetToken()}
	}
	if err := d.UnmarshalText([]byte(text)); err != nil {
		return &yaml.SyntaxError{Message: err.Error(), Token: node.GetToken()}
	}
	return nil
}

// ReadHPA reads the first HorizontalPodAutoscaler of a manifest, in YAML or as
// kubectl prints it in JSON. It is strict: an unknown key is an error with its
// line. The defaults of Kubernetes are filled in, but for Behavior, without which
// the controller works in another way.
func ReadHPA(r io.Reader) (*HPA, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("reading the HPA manifest: %w", err)
	}
	var h *HPA
	if err := invalid.YAML(func() (err error) { h, err = decodeHPA(data); return err }); err != nil {
		return nil, fmt.Errorf("reading the HPA manifest: %w", err)
	}
	if err := h.Validate(); err != nil {
		return nil, fmt.Errorf("reading the HPA manifest: %w", err)
	}
	h.setDefaults()
	return h, nil
}

// decodeHPA finds the document.
func decodeHPA(data []byte) (*HPA, error) {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, err
	}
	for _, doc := range file.Docs {
		var head struct {
			Kind string `yaml:"kind"`
		}
		if doc.Body == nil || yaml.NodeToValue(doc.Body, &head) != nil || head.Kind != "HorizontalPodAutoscaler" {
			continue
		}
		h := &HPA{}
		return h, yaml.NodeToValue(doc.Body, h, yaml.Strict())
	}
	return nil, errors.New("there is no HorizontalPodAutoscaler in it")
}

// Write writes the manifest as YAML.
func (h *HPA) Write(w io.Writer) error {
	data, err := yaml.MarshalWithOptions(h, yaml.IndentSequence(true))
	if err != nil {
		return fmt.Errorf("writing the HPA manifest: %w", err)
	}
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("writing the HPA manifest: %w", err)
	}
	return nil
}

// Min returns the fewest replicas.
func (s HPASpec) Min() int32 {
	if s.MinReplicas == nil {
		return 1
	}
	return *s.MinReplicas
}

// Validate returns every field that Kubernetes would refuse.
func (h *HPA) Validate() error {
	var errs []error
	if h.APIVersion != "autoscaling/v2" {
		errs = append(errs, invalid.Field("apiVersion", "is %q; autoscaling/v2 is read", h.APIVersion))
	}
	s := h.Spec
	if s.Min() < 0 {
		errs = append(errs, invalid.Field("spec.minReplicas", "is %d", s.Min()))
	}
	if s.MaxReplicas < max(1, s.Min()) || s.MaxReplicas > 1_000_000 {
		errs = append(errs, invalid.Field("spec.maxReplicas", "is %d, with minReplicas %d", s.MaxReplicas, s.Min()))
	}
	for i, m := range s.Metrics {
		errs = append(errs, invalid.In(fmt.Sprintf("spec.metrics[%d]", i), m.validate()))
	}
	if b := s.Behavior; b != nil {
		errs = append(errs, invalid.In("spec.behavior.scaleUp", b.ScaleUp.validate()), invalid.In("spec.behavior.scaleDown", b.ScaleDown.validate()))
	}
	return errors.Join(errs...)
}

// field returns the part of m that its type names, nil if it is not there.
func (m MetricSpec) field() *MetricField {
	switch m.Type {
	case ResourceMetric:
		return m.Resource
	case ContainerResourceMetric:
		return m.ContainerResource
	case PodsMetric:
		return m.Pods
	case ObjectMetric:
		return m.Object
	case ExternalMetric:
		return m.External
	}
	return nil
}

func (m MetricSpec) validate() error {
	f := m.field()
	if f == nil {
		return invalid.Field("type", "is %q, and its field is not there", m.Type)
	}
	t := f.Target
	set := map[string]bool{
		"Utilization":  t.AverageUtilization != nil && *t.AverageUtilization > 0,
		"AverageValue": t.AverageValue != nil && thousandths(float64(*t.AverageValue)) > 0,
		"Value":        t.Value != nil && thousandths(float64(*t.Value)) > 0,
	}
	allowed := map[string][]string{
		ResourceMetric: {"Utilization", "AverageValue"}, ContainerResourceMetric: {"Utilization", "AverageValue"},
		PodsMetric: {"AverageValue"}, ObjectMetric: {"AverageValue", "Value"}, ExternalMetric: {"AverageValue", "Value"},
	}[m.Type]
	for _, kind := range allowed {
		if t.Type == kind && set[kind] {
			return nil
		}
	}
	return invalid.Field("target", "of a %s metric must be of type %s, with its value above 0", m.Type, strings.Join(allowed, " or "))
}

func (r *ScalingRules) validate() error {
	if r == nil {
		return nil
	}
	if w := r.StabilizationWindowSeconds; w != nil && (*w < 0 || *w > 3600) {
		return invalid.Field("stabilizationWindowSeconds", "is %d: it is from 0 to 3600", *w)
	}
	switch r.SelectPolicy {
	case "", "Max", "Min", "Disabled":
	default:
		return invalid.Field("selectPolicy", "is %q: it is Max, Min or Disabled", r.SelectPolicy)
	}
	for i, p := range r.Policies {
		if (p.Type != "Pods" && p.Type != "Percent") || p.Value <= 0 || p.PeriodSeconds <= 0 || p.PeriodSeconds > 1800 {
			return invalid.Field(fmt.Sprintf("policies[%d]", i), "is %+v: the type is Pods or Percent, the value above 0, the period 1 to 1800 s", p)
		}
	}
	return nil
}

// setDefaults fills in what the API server does.
func (h *HPA) setDefaults() {
	if len(h.Spec.Metrics) == 0 {
		eighty := int32(80)
		h.Spec.Metrics = []MetricSpec{{Type: ResourceMetric, Resource: &MetricField{Name: "cpu", Target: MetricTarget{Type: "Utilization", AverageUtilization: &eighty}}}}
	}
	if h.Spec.Behavior != nil {
		b := h.Spec.Behavior.withDefaults()
		h.Spec.Behavior = &b
	}
}

// withDefaults returns b with nothing left open.
func (b Behavior) withDefaults() Behavior {
	fill := func(r *ScalingRules, window int32, policies []ScalingPolicy) *ScalingRules {
		full := ScalingRules{}
		if r != nil {
			full = *r
		}
		if full.StabilizationWindowSeconds == nil {
			full.StabilizationWindowSeconds = &window
		}
		if full.SelectPolicy == "" {
			full.SelectPolicy = "Max"
		}
		if len(full.Policies) == 0 {
			full.Policies = policies
		}
		return &full
	}
	return Behavior{
		ScaleUp:   fill(b.ScaleUp, 0, []ScalingPolicy{{"Pods", 4, 15}, {"Percent", 100, 15}}),
		ScaleDown: fill(b.ScaleDown, 300, []ScalingPolicy{{"Percent", 100, 15}}),
	}
}
