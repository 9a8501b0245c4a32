"""Amazon EventBridge to our receiver by an API destination: connection, destination, role and rule, as Terraform."""

import json

from syncd.service.connect.plan import Recipe, Text
from syncd.service.connect.quoting import hcl, label, shell
from syncd.service.connect.target import Target
from syncd.service.connect.topics import pattern

_SWITCH = (
    "EventBridge must be switched on for the bucket (Properties → Amazon EventBridge). Terraform's "
    "aws_s3_bucket_notification and `aws s3api put-bucket-notification-configuration` would replace every other "
    "notification of the bucket"
)


def api_destination(target: Target, prefix: str, suffix: str) -> Recipe:
    """Everything but the switch of the bucket itself."""
    texts = [Text("With Terraform", "hcl", _terraform(target, prefix, suffix))]
    return Recipe(texts, [_SWITCH, f"EventBridge must reach {target.endpoint} over HTTPS, and is answered within 5 s"])


def removed(target: Target) -> Recipe:
    """What Terraform made, by Terraform."""
    id_ = label(target.id)
    return Recipe(
        [Text("With Terraform", "sh", shell(["terraform", "destroy"], (f"-target=aws_cloudwatch_event_rule.{id_}",)))]
    )


def _terraform(target: Target, prefix: str, suffix: str) -> str:
    id_ = label(target.id)
    return f"""
variable "syncd_token" {{
  type      = string
  sensitive = true
}}

resource "aws_cloudwatch_event_connection" "{id_}" {{
  name               = {hcl(target.id)}
  authorization_type = "API_KEY"
  auth_parameters {{
    api_key {{
      key   = {hcl(str(target.option("header")))}
      value = var.syncd_token
    }}
  }}
}}

resource "aws_cloudwatch_event_api_destination" "{id_}" {{
  name                = {hcl(target.id)}
  invocation_endpoint = {hcl(target.endpoint)}
  http_method         = "POST"
  connection_arn      = aws_cloudwatch_event_connection.{id_}.arn
}}

resource "aws_cloudwatch_event_rule" "{id_}" {{
  name          = {hcl(target.id)}
  event_pattern = {hcl(json.dumps(pattern(target.bucket, prefix, suffix)))}
}}

resource "aws_iam_role" "{id_}" {{
  name = {hcl(target.id)}
  assume_role_policy = jsonencode({{
    Version = "2012-10-17"
    Statement = [{{
      Effect    = "Allow"
      Principal = {{ Service = "events.amazonaws.com" }}
      Action    = "sts:AssumeRole"
    }}]
  }})
}}

resource "aws_iam_role_policy" "{id_}" {{
  role = aws_iam_role.{id_}.id
  policy = jsonencode({{
    Version = "2012-10-17"
    Statement = [{{
      Effect   = "Allow"
      Action   = "events:InvokeApiDestination"
      Resource = aws_cloudwatch_event_api_destination.{id_}.arn
    }}]
  }})
}}

resource "aws_cloudwatch_event_target" "{id_}" {{
  rule     = aws_cloudwatch_event_rule.{id_}.name
  arn      = aws_cloudwatch_event_api_destination.{id_}.arn
  role_arn = aws_iam_role.{id_}.arn
}}
""".strip()
