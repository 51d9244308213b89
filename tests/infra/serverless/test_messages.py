"""Every asynchronous edge: encrypted, over TLS, for those it is meant for, and never into nothing."""

import pytest

pytestmark = pytest.mark.slow

ENCRYPTED_BY_AWS = "alias/aws/sns"


def test_a_message_stays_hidden_for_six_time_outs_and_then_goes_to_the_dead_letters(stack):
    nudges = stack.of_type("AWS::SQS::Queue")["Nudges"]

    assert nudges["VisibilityTimeout"] >= 6 * stack.functions["worker"]["Timeout"]
    assert nudges["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["DeadNudges", "Arn"]}
    assert nudges["RedrivePolicy"]["maxReceiveCount"] == 5


def test_dead_letters_are_kept_as_long_as_sqs_keeps_anything(stack):
    queues = stack.of_type("AWS::SQS::Queue")

    assert {queues[name]["MessageRetentionPeriod"] for name in ("DeadNudges", "DeadEvents")} == {14 * 86_400}


def test_every_queue_is_encrypted(stack):
    assert all(queue["SqsManagedSseEnabled"] for queue in stack.of_type("AWS::SQS::Queue").values())


@pytest.mark.parametrize(
    ("kind", "of", "names"),
    [
        ("AWS::SQS::QueuePolicy", "AWS::SQS::Queue", "Queues"),
        ("AWS::SNS::TopicPolicy", "AWS::SNS::Topic", "Topics"),
        ("AWS::S3::BucketPolicy", "AWS::S3::Bucket", "Bucket"),
    ],
)
def test_whatever_comes_without_tls_is_turned_away(stack, kind, of, names):
    policies = stack.policies_on(kind, names)
    made = {properties.get("BucketName", name) for name, properties in stack.of_type(of).items()}

    assert policies.keys() == made
    for statements in policies.values():
        (denied,) = [statement for statement in statements if statement["Effect"] == "Deny"]
        assert denied["Principal"] == "*"
        assert str(denied["Condition"]["Bool"]["aws:SecureTransport"]).lower() == "false"


def test_no_queue_and_no_topic_is_open_to_strangers(stack):
    for kind, names in (("AWS::SQS::QueuePolicy", "Queues"), ("AWS::SNS::TopicPolicy", "Topics")):
        for statements in stack.policies_on(kind, names).values():
            for allowed in (one for one in statements if one["Effect"] == "Allow"):
                service = allowed["Principal"].get("Service")
                assert allowed["Principal"] != "*"
                assert service is None or allowed["Condition"], f"{service} acts for other accounts too"


def test_what_fails_for_ever_is_kept(stack):
    kept = {
        settings["FunctionName"]["Ref"]: settings["DestinationConfig"]["OnFailure"]["Destination"]
        for settings in stack.of_type("AWS::Lambda::EventInvokeConfig").values()
    }

    dead = {"Fn::GetAtt": ["DeadEvents", "Arn"]}
    assert kept == {f"{name}LambdaFunction": dead for name in ("Result", "Failure", "Sweep", "Admin")}


def test_whoever_has_a_failure_destination_may_write_to_it(stack):
    dead = {"Fn::GetAtt": ["DeadEvents", "Arn"]}
    writers = {
        name
        for name in stack.functions
        for statement in stack.statements_of(name)
        if statement["Resource"] == dead and statement["Action"] == "sqs:SendMessage"
    }
    assert writers == {"result", "failure", "sweep", "admin"}


def test_schedule_and_topic_keep_what_does_not_reach_its_function(stack):
    dead = {"Fn::GetAtt": ["DeadEvents", "Arn"]}
    (rule,) = stack.of_type("AWS::Events::Rule").values()
    (target,) = rule["Targets"]
    (heard,) = [
        subscription
        for subscription in stack.of_type("AWS::SNS::Subscription").values()
        if subscription["Protocol"] == "lambda"
    ]
    assert target["DeadLetterConfig"]["Arn"] == heard["RedrivePolicy"]["deadLetterTargetArn"] == dead
    statements = stack.policies_on("AWS::SQS::QueuePolicy", "Queues")["DeadEvents"]
    services = {one["Principal"]["Service"] for one in statements if one["Effect"] == "Allow"}
    assert services == {"events.amazonaws.com", "sns.amazonaws.com"}
    assert rule["Name"] in str(statements), "the schedule's rule has the name that the policy lets in"


def test_a_queue_has_one_policy_for_the_last_one_would_replace_the_others(stack):
    named = [name["Ref"] for one in stack.of_type("AWS::SQS::QueuePolicy").values() for name in one["Queues"]]

    assert sorted(named) == sorted(set(named))


def test_the_worker_may_fail_messages_one_by_one_and_does_not_run_away(stack):
    (mapping,) = stack.of_type("AWS::Lambda::EventSourceMapping").values()

    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["EventSourceArn"] == {"Fn::GetAtt": ["Nudges", "Arn"]}
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 5}


def test_arrivals_wake_the_function_of_their_folder_and_what_functions_write_wakes_none(stack):
    bucket = stack.of_type("AWS::S3::Bucket")["S3BucketPictures"]
    told = {
        rule["Value"]: wakes["Function"]["Fn::GetAtt"][0]
        for wakes in bucket["NotificationConfiguration"]["LambdaConfigurations"]
        for rule in wakes["Filter"]["S3Key"]["Rules"]
    }
    assert told == {"out/": "ResultLambdaFunction", "failed/": "FailureLambdaFunction"}


def test_notices_of_failed_drawings_are_encrypted_and_alarms_where_a_key_is_given(dev, prod):
    for stack in (dev, prod):
        assert stack.of_type("AWS::SNS::Topic")["FailedDrawings"]["KmsMasterKeyId"] == ENCRYPTED_BY_AWS
    assert "KmsMasterKeyId" not in dev.of_type("AWS::SNS::Topic")["Alarms"], "CloudWatch cannot use AWS's own"
    assert prod.of_type("AWS::SNS::Topic")["Alarms"]["KmsMasterKeyId"].startswith("arn:aws:kms:")
