<?php

declare(strict_types=1);

/*
 * The commands of Nextcloud's `occ` that the page in docs/ uses, with what they check and keep. The state is a file of JSON, named by
 * OCC_STATE: which apps are enabled, how jobs are started, and each configuration's settings as the strings that were given.
 */

require __DIR__ . '/Settings.php';
require __DIR__ . '/Server.php';

final class State
{
    /** @var array{apps: list<string>, jobs: string, configurations: array<string, array<string, string>>} */
    public array $kept = ['apps' => [], 'jobs' => 'ajax', 'configurations' => []];

    public function __construct(private readonly string $file)
    {
        if (is_file($file)) {
            $this->kept = json_decode((string) file_get_contents($file), true, 8, JSON_THROW_ON_ERROR);
        }
    }

    public function write(): void
    {
        file_put_contents($this->file, json_encode($this->kept, JSON_THROW_ON_ERROR | JSON_FORCE_OBJECT));
    }
}

function fail(string $message): never
{
    fwrite(STDERR, "$message\n");
    exit(1);
}

/** What Nextcloud asks of a configuration before it uses it. */
function fault(Settings $settings): ?string
{
    foreach (['ldapHost', 'ldapUserDisplayName', 'ldapGroupDisplayName', 'ldapLoginFilter', 'ldapBase'] as $name) {
        if ($settings->$name === '') {
            return "no $name";
        }
    }
    return match (true) {
        $settings->ldapPort === 0 => 'no ldapPort',
        ($settings->ldapAgentName === '') !== ($settings->ldapAgentPassword === '') => 'an agent without password, or the reverse',
        !str_contains($settings->ldapLoginFilter, '%uid') => 'no %uid in the login filter',
        !$settings->ldapConfigurationActive => 'it is not active',
        default => null,
    };
}

$state = new State((string) getenv('OCC_STATE'));
$arguments = array_slice($argv, 1);
$command = array_shift($arguments);
if (str_starts_with((string) $command, 'ldap:') && !in_array('user_ldap', $state->kept['apps'], true)) {
    fail('There are no commands defined in the "ldap" namespace.');
}
switch ($command) {
    case 'app:enable':
        $state->kept['apps'][] = $arguments[0];
        echo "{$arguments[0]} enabled\n";
        break;
    case 'ldap:create-empty-config':
        $name = sprintf('s%02d', count($state->kept['configurations']) + 1);
        $state->kept['configurations'][$name] = [];
        echo $arguments === ['--only-print-prefix'] ? $name : "Created new configuration with configID $name\n";
        break;
    case 'ldap:set-config':
        [$name, $setting, $value] = $arguments;
        if (!isset($state->kept['configurations'][$name])) {
            fail('Invalid configID');
        }
        $state->kept['configurations'][$name][$setting] = $value;
        break;
    case 'ldap:test-config':
        $given = $state->kept['configurations'][$arguments[0]] ?? fail('Invalid configID');
        $settings = Settings::ofStrings($given);
        $fault = fault($settings);
        if ($fault !== null) {
            fail("The configuration is invalid: $fault.");
        }
        if (!(new Server($settings))->accepts($settings->ldapAgentName, $settings->ldapAgentPassword)) {
            fail('The configuration is valid, but the bind failed. Please check the server settings and credentials.');
        }
        echo "The configuration is valid and the connection could be established!\n";
        break;
    case 'background:cron':
        $state->kept['jobs'] = 'cron';
        echo "Set mode for background jobs to 'cron'\n";
        break;
    default:
        fail("Command \"$command\" is not defined.");
}
$state->write();
