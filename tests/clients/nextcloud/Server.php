<?php

declare(strict_types=1);

/** The server is down, shutting down or does not answer: whatever is going on stops and concludes nothing. */
final class ServerNotAvailable extends RuntimeException
{
}

/** The server refuses a new password and says why. */
final class PasswordRefused extends RuntimeException
{
}

/** An answer that becomes an error page. */
final class OperationFailed extends RuntimeException
{
}

/**
 * The connection of one process: bound as the agent when first needed, opened again once when it was lost. Result codes become
 * what Nextcloud makes of them.
 */
final class Server
{
    private const LOST = -1;
    private const OPERATIONS_ERROR = 1;
    private const NO_SUCH_OBJECT = 32;
    private const REFERRAL = 10;
    private const CONSTRAINT_VIOLATION = 19;
    private const INAPPROPRIATE_AUTHENTICATION = 48;
    private const INVALID_CREDENTIALS = 49;
    private const INSUFFICIENT_ACCESS = 50;
    private const UNAVAILABLE = 52;
    private const UNWILLING = 53;

    private ?LDAP\Connection $link = null;

    /** Codes that were logged and nothing else. @var list<int> */
    public array $logged = [];

    public function __construct(private readonly Settings $settings)
    {
    }

    /**
     * Calls a function of php-ldap with the link before its other arguments; again once on a new connection when the server was
     * not there.
     */
    public function call(callable $function, mixed ...$arguments): mixed
    {
        try {
            return $this->once($function, $arguments);
        } catch (ServerNotAvailable) {
            $this->forget();
            return $this->once($function, $arguments);
        }
    }

    /** @param array<mixed> $arguments */
    private function once(callable $function, array $arguments): mixed
    {
        $link = $this->link();
        $result = @$function($link, ...$arguments);
        if ($result === false || $result === null) {
            $this->judge($link);
        }
        return $result;
    }

    /** The result code of the last operation. */
    public function code(): int
    {
        return $this->link === null ? self::LOST : ldap_errno($this->link);
    }

    /** Draws the conclusions of the last operation's code. */
    public function judge(?LDAP\Connection $link = null): void
    {
        $link ??= $this->link;
        if ($link === null) {
            return;
        }
        $code = ldap_errno($link);
        switch ($code) {
            case 0:
            case self::NO_SUCH_OBJECT:
            case self::REFERRAL:
                return;
            case self::LOST:
                throw new ServerNotAvailable('the connection is lost');
            case self::UNAVAILABLE:
                throw new ServerNotAvailable('the server is shutting down');
            case self::OPERATIONS_ERROR:
                throw new OperationFailed('LDAP operations error');
            case self::INAPPROPRIATE_AUTHENTICATION:
                throw new OperationFailed('the authentication method was rejected');
            case self::CONSTRAINT_VIOLATION:
                ldap_get_option($link, LDAP_OPT_ERROR_STRING, $message);
                throw new PasswordRefused((string) $message, $code);
            default:
                $this->logged[] = $code;
        }
    }

    /** A second connection bound as somebody else: whether the password is right. */
    public function accepts(string $dn, string $password): bool
    {
        $link = $this->open();
        if (@ldap_bind($link, $dn, $password)) {
            return true;
        }
        $this->judge($link);
        return false;
    }

    /** Drops the connection; php-ldap unbinds when nothing refers to it any more. */
    public function forget(): void
    {
        $this->link = null;
    }

    private function link(): LDAP\Connection
    {
        if ($this->link !== null) {
            return $this->link;
        }
        $link = $this->open();
        if (!@ldap_bind($link, $this->settings->ldapAgentName, $this->settings->ldapAgentPassword)) {
            $this->judge($link);
            // A refusal keeps the socket: what follows is asked without identity.
            $refusals = [self::INVALID_CREDENTIALS, self::INSUFFICIENT_ACCESS, self::UNWILLING];
            if (!in_array(ldap_errno($link), $refusals, true)) {
                throw new ServerNotAvailable('the agent cannot bind: ' . ldap_error($link));
            }
        }
        return $this->link = $link;
    }

    private function open(): LDAP\Connection
    {
        $host = $this->settings->ldapHost;
        $scheme = str_contains($host, '://') ? '' : 'ldap://';
        $link = ldap_connect("$scheme$host:{$this->settings->ldapPort}");
        if ($link === false) {
            throw new ServerNotAvailable('no such address');
        }
        ldap_set_option($link, LDAP_OPT_PROTOCOL_VERSION, 3);
        ldap_set_option($link, LDAP_OPT_REFERRALS, 0);
        ldap_set_option($link, LDAP_OPT_NETWORK_TIMEOUT, $this->settings->ldapConnectionTimeout);
        if ($this->settings->ldapTLS && !@ldap_start_tls($link)) {
            throw new ServerNotAvailable('no StartTLS: ' . ldap_error($link));
        }
        return $link;
    }
}
