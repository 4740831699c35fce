{{/* node-probe's configuration: what the chart sets, below what the user says. */}}
{{- define "hopspan.probe.config" -}}
{{- $values := .Values.probe -}}
{{- $user := fromYaml (include "hopspan.userConfig" $values) -}}
{{- $address := ternary "0.0.0.0" "127.0.0.1" .Values.metrics.monitors.enabled -}}
{{- $otlp := dict "tls" (fromYaml (include "hopspan.probe.tls" (list $values $user))) -}}
{{- with $values.auth.secretName -}}
{{- $_ := set $otlp "auth" (dict "bearer_token_file" (printf "/etc/hopspan/secrets/%s/%s" . $values.auth.key)) -}}
{{- end -}}
{{- if .Values.plugin.enabled -}}
{{- $port := include "hopspan.plugin.config" . | fromYaml | dig "receivers" "otlp" "protocols" "grpc" "endpoint" "" -}}
{{- $_ := set $otlp "endpoint" (printf "%s.%s.svc:%s" (include "hopspan.plugin.name" .) .Release.Namespace (include "hopspan.port" $port)) -}}
{{- end -}}
{{- $defaults := dict
  "exporters" (dict "otlp" $otlp)
  "points" (dict "pod" $values.podPoints.enabled)
  "telemetry" (dict "metrics" (dict "endpoint" (printf "%s:29464" $address))) -}}
{{- $config := mustMergeOverwrite $defaults $user -}}
{{- $given := dig "exporters" "otlp" "endpoint" "" $user -}}
{{- if not (dig "exporters" "otlp" "endpoint" "" $config) -}}
{{- fail "probe.config.exporters.otlp.endpoint: required while plugin.enabled is false: where transits are sent, host:port" -}}
{{- end -}}
{{- if and .Values.plugin.enabled (gt (int .Values.plugin.replicas) 1) (not $given) -}}
{{- fail "probe.config.exporters.otlp.endpoint: required with several plugin.replicas: a Collector whose load-balancing exporter sends each trace to one plugin (docs/deploy.md)" -}}
{{- end -}}
{{- if and (not $given) $.Values.plugin.tls.secretName (not $values.tls.enabled) -}}
{{- fail "probe.tls.enabled: required, since the plugin speaks TLS alone (plugin.tls.secretName)" -}}
{{- end -}}
{{- if and (not $given) $.Values.plugin.auth.secretName (not (dig "exporters" "otlp" "auth" "" $config)) (not (dig "exporters" "otlp" "headers" "" $config)) -}}
{{- fail "probe.auth.secretName: required, since the plugin asks for a token (plugin.auth.secretName)" -}}
{{- end -}}
{{- if and (dig "points" "pod" false $config) (not $values.podPoints.enabled) -}}
{{- fail "probe.config.points.pod: set probe.podPoints.enabled, which gives the rights too" -}}
{{- end -}}
{{- if and .Values.metrics.monitors.enabled (regexMatch "^(localhost|127\\.[0-9.]+|\\[::1\\]):" $config.telemetry.metrics.endpoint) -}}
{{- fail "probe.config.telemetry.metrics.endpoint: metrics.monitors.enabled needs an address that Prometheus can reach" -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* Of a list: the component's values and the user's configuration. */}}
{{- define "hopspan.probe.tls" -}}
{{- $tls := (index . 0).tls -}}
{{- $directory := printf "/etc/hopspan/secrets/%s" $tls.secretName -}}
{{- if and (not $tls.secretName) $tls.clientCertificate -}}
{{- fail "probe.tls.secretName: required with probe.tls.clientCertificate" -}}
{{- end -}}
{{- if and (not $tls.enabled) $tls.secretName -}}
{{- fail "probe.tls.secretName: has no effect while probe.tls.enabled is false" -}}
{{- end -}}
{{- if not $tls.enabled -}}
{{- if not (dig "exporters" "otlp" "tls" "" (index . 1)) }}insecure: true{{ end -}}
{{- else if $tls.secretName -}}
ca_file: {{ $directory }}/ca.crt
{{- if $tls.clientCertificate }}
cert_file: {{ $directory }}/tls.crt
key_file: {{ $directory }}/tls.key
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "hopspan.probe.secrets" -}}
{{- toYaml (concat .Values.probe.secretMounts (without (list .Values.probe.tls.secretName .Values.probe.auth.secretName) "")) -}}
{{- end -}}

{{/* Where the kubelet, in the same network, finds the metrics. */}}
{{- define "hopspan.probe.host" -}}
{{- $host := regexReplaceAll ":[0-9]+$" . "" | trimPrefix "[" | trimSuffix "]" -}}
{{- get (dict "0.0.0.0" "127.0.0.1" "::" "::1") $host | default $host -}}
{{- end -}}
