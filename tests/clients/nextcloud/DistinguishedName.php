<?php

declare(strict_types=1);

/**
 * DNs in the form Nextcloud keeps them: lower case, without blanks after commas, special characters as hexadecimal pairs.
 */
final class DistinguishedName
{
    private const SPECIAL = [
        '\,' => '\5c2C', '\=' => '\5c3D', '\+' => '\5c2B', '\<' => '\5c3C', '\>' => '\5c3E', '\;' => '\5c3B',
        '\"' => '\5c22', '\#' => '\5c23', '(' => '\28', ')' => '\29', '*' => '\2A',
    ];

    /** What goes into the mapping tables and, as it is, into filters. */
    public static function kept(string $given): string
    {
        $plain = mb_strtolower((string) preg_replace('/([^\\\\],)(\s+)/u', '$1', $given), 'UTF-8');
        return strtr($plain, self::SPECIAL);
    }

    /** The same DN as the base of a search or for a bind. */
    public static function asBase(string $kept): string
    {
        return str_replace('\5c', '\\', $kept);
    }

    /** Nextcloud compares text here. */
    public static function isBelow(string $kept, string $base): bool
    {
        return str_ends_with($kept, self::kept($base));
    }
}
