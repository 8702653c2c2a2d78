package scaling

import (
	"strings"
	"testing"
)

func TestTheMetricsOfAnAutoscaler(t *testing.T) {
	o := object(t, `{"kind":"HorizontalPodAutoscaler","metadata":{"name":"app"},"spec":{"metrics":[
		{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":70}}},
		{"type":"Resource","resource":{"name":"memory","target":{"type":"AverageValue","averageValue":"200Mi"}}},
		{"type":"ContainerResource","containerResource":{"name":"cpu","container":"web","target":{"type":"Utilization","averageUtilization":60}}},
		{"type":"Pods","pods":{"metric":{"name":"requests"},"target":{"type":"AverageValue","averageValue":"10"}}},
		{"type":"Object","object":{"metric":{"name":"hits"},"describedObject":{"kind":"Ingress","name":"main"},"target":{"type":"Value","value":"2k"}}},
		{"type":"External","external":{"metric":{"name":"queue"},"target":{"type":"Value","value":"30"}}},
		{"type":"New"}, {}
	]},"status":{"currentMetrics":[
		{"type":"Resource","resource":{"name":"cpu","current":{"averageUtilization":54,"averageValue":"54m"}}},
		{"type":"Resource","resource":{"name":"memory","current":{"averageValue":"180Mi"}}},
		{"type":"ContainerResource","containerResource":{"name":"cpu","container":"web","current":{"averageUtilization":50}}},
		{"type":"Pods","pods":{"metric":{"name":"requests"},"current":{"averageValue":"12"}}},
		{"type":"External","external":{"metric":{"name":"queue"},"current":{"value":"7"}}}
	]}}`)
	want := []string{
		"cpu 54 % of 70 %", "memory 180Mi each of 200Mi each", "cpu in container web 50 % of 60 %",
		"requests 12 each of 10 each", "hits of ingress/main unknown of 2k", "queue 7 of 30",
	}
	if got := autoscalerState(o).Metrics; strings.Join(got, "; ") != strings.Join(want, "; ") {
		t.Errorf("metrics %q", got)
	}
}
